/*
 * ServiceNow business rule: sends new records and requesters' comments to symptom-kb, signed as Standard Webhooks 1.0.
 * Set it up as docs/connectors.md says: table incident, when async, on insert and update, global scope, and as Condition
 *   current.operation() == 'insert' || current.comments.changes()
 * The condition is evaluated when the record is saved; the script of an async rule runs later and cannot ask for changes.
 *
 * System properties it reads:
 *   symptom_kb.url     address of the service, such as https://kb.example.com/v1/intake/servicenow
 *   symptom_kb.secret  the signing secret, whsec_... (type password2, so that it is stored encrypted)
 *
 * An attempt that fails is made again later, as often as ATTEMPTS says: the rule queues the event symptom_kb.retry for the
 * time that it waits (gs.eventQueueScheduled), and a script action of that event runs this same script. Nothing sleeps.
 *   event registration  symptom_kb.retry, table incident
 *   script action       event symptom_kb.retry, script: this whole file again
 *
 * In a scoped application write `new CertificateEncryption()` for `new GlideCertificateEncryption()` and store the
 * secret with `setDisplayValue`.
 */
(function executeRule(current, event) {
  var MAX_CHARS = 20000;
  var RETRY = 'symptom_kb.retry';
  var ATTEMPTS = 9;
  var FIRST_WAIT_S = 30;
  var MOST_WAIT_S = 3600;

  /* GlideRecord hands out GlideElements, which JSON would not write as text: every value is made a string. */
  function value(field) {
    return current.isValidField(field) ? String(current.getValue(field) || '').substring(0, MAX_CHARS) : '';
  }

  function display(field) {
    return current.isValidField(field) ? String(current.getDisplayValue(field) || '').substring(0, MAX_CHARS) : '';
  }

  /* The newest comment that the requester can read, with a first line that says who wrote it and when. */
  function newestEntry() {
    return String(current.comments.getJournalEntry(1) || '');
  }

  /* Enough to tell one comment from another: an event has room for a few words only. */
  function fingerprint(text) {
    var sum = 0;
    for (var place = 0; place < text.length; place++) {
      sum = (sum * 31 + text.charCodeAt(place)) % 4294967296;
    }
    return String(sum);
  }

  /* The field that names who has the trouble: the caller of an incident, or what other tables call it. */
  var requester = ['caller_id', 'requested_for', 'contact', 'opened_by'].filter(value)[0] || '';

  function isByRequester() {
    var name = requester ? String(current[requester].user_name || '') : '';
    return name !== '' && name === value('sys_updated_by');
  }

  /* Signatures are over bytes: with nothing but ASCII in the body no character set can change them on the way. */
  function toAsciiJson(object) {
    return JSON.stringify(object).replace(/[\u007f-\uffff]/g, function (character) {
      return '\\u' + ('0000' + character.charCodeAt(0).toString(16)).slice(-4);
    });
  }

  function sign(secret, id, timestamp, body) {
    var key = secret.replace(/^whsec_/, '');
    return 'v1,' + new GlideCertificateEncryption().generateMac(key, 'HmacSHA256', id + '.' + timestamp + '.' + body);
  }

  function send(url, secret, id, body) {
    var timestamp = String(Math.floor(new GlideDateTime().getNumericValue() / 1000));
    var request = new sn_ws.RESTMessageV2();
    request.setEndpoint(url);
    request.setHttpMethod('POST');
    request.setHttpTimeout(10000);
    request.setRequestHeader('Content-Type', 'application/json');
    request.setRequestHeader('webhook-id', id);
    request.setRequestHeader('webhook-timestamp', timestamp);
    request.setRequestHeader('webhook-signature', sign(secret, id, timestamp, body));
    request.setRequestBody(body);
    return request.execute();
  }

  /* How long to wait after an attempt, in seconds: twice as long each time, and never less than Retry-After says. */
  function waitAfter(attempt, retryAfter) {
    var asked = /^[0-9]{1,5}$/.test(retryAfter) ? parseInt(retryAfter, 10) : 0;
    return Math.max(asked, Math.min(MOST_WAIT_S, FIRST_WAIT_S * Math.pow(2, attempt - 1)));
  }

  var url = gs.getProperty('symptom_kb.url', '');
  var secret = gs.getProperty('symptom_kb.secret', '');
  if (!url || !secret) {
    gs.error('symptom-kb: set the properties symptom_kb.url and symptom_kb.secret');
    return;
  }

  /* What an earlier attempt left: the delivery's id; the attempt's number, who commented and which comment it was. */
  var retried = event && String(event.name) === RETRY ? String(event.parm2).split(' ') : null;
  var attempt = retried ? parseInt(retried[0], 10) : 1;
  var created = retried ? /-insert$/.test(String(event.parm1)) : current.operation() === 'insert';
  var entry = created ? '' : newestEntry();
  var comment = entry.replace(/^[^\n]*\n/, '').substring(0, MAX_CHARS);
  if (!created && !comment) {
    return;
  }
  if (!created && retried && retried[2] !== fingerprint(entry)) {
    gs.warn('symptom-kb: ' + value('number') + ' has a newer comment; the earlier one is not sent any more');
    return;
  }
  var byRequester = retried ? retried[1] === 'requester' : isByRequester();

  /* The same id at every attempt: the service takes a delivery once, however often it arrives. */
  var id = retried
    ? String(event.parm1)
    : [current.getUniqueValue(), value('sys_mod_count'), created ? 'insert' : 'update'].join('-');

  var body = toAsciiJson({
    type: created ? 'record.created' : 'record.commented',
    timestamp: new GlideDateTime().getValue().replace(' ', 'T') + 'Z',
    data: {
      table: String(current.getTableName()),
      sys_id: String(current.getUniqueValue()),
      number: value('number'),
      short_description: value('short_description'),
      description: value('description'),
      comment: comment,
      by_requester: byRequester,
      caller: requester ? value(requester) : '',
      category: value('category'),
      subcategory: value('subcategory'),
      priority: display('priority'),
      state: display('state'),
      business_service: display('business_service'),
      cmdb_ci: display('cmdb_ci'),
      contact_type: value('contact_type'),
      updated_by: value('sys_updated_by')
    }
  });

  var name = 'symptom-kb: attempt ' + attempt + ' for ' + value('number');
  var retryAfter = '';
  try {
    var response = send(url, secret, id, body);
    var status = response.getStatusCode();
    if (status >= 200 && status < 300) {
      return;
    }
    gs.warn(name + ' was answered with ' + status);
    if (status >= 400 && status < 500 && status !== 429) {
      return;
    }
    retryAfter = String(response.getHeader('Retry-After') || '');
  } catch (error) {
    gs.warn(name + ' failed: ' + error);
  }
  if (attempt >= ATTEMPTS) {
    gs.error('symptom-kb: ' + value('number') + ' could not be delivered');
    return;
  }
  var next = new GlideDateTime();
  next.addSeconds(waitAfter(attempt, retryAfter));
  var left = [attempt + 1, byRequester ? 'requester' : 'other', fingerprint(entry)].join(' ');
  gs.eventQueueScheduled(RETRY, current, id, left, next);
})(current, typeof event === 'undefined' ? null : event);
