// What the widget says. The dictionary is strings.json: a sentence for each key, or its plural forms.

import { STRINGS } from "./dictionary.js";

/** What one widget says: a dictionary, the page's own words over it, and Intl for numbers, dates and waiting times. */
export class Voice {
  constructor(wanted, own) {
    const found = [wanted, wanted.split("-")[0]].find((tag) => tag in STRINGS);
    this.locale = found || own ? wanted : "en";
    this.lang = found || (own ? wanted : "en");
    this.words = { ...STRINGS.en, ...STRINGS[found], ...own };
    try {
      Intl.getCanonicalLocales(this.locale);
    } catch {
      this.locale = "en";
    }
  }

  say(key, values = {}) {
    return this.words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  count(key, n) {
    const forms = this.words[key];
    const form = forms[new Intl.PluralRules(this.locale).select(n)] || forms.other;
    return form.replace("{n}", new Intl.NumberFormat(this.locale).format(n));
  }

  date(iso) {
    return new Intl.DateTimeFormat(this.locale, { dateStyle: "long", timeZone: "UTC" }).format(new Date(iso));
  }

  seconds(n) {
    return new Intl.RelativeTimeFormat(this.locale).format(n, "second");
  }
}
