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
 * In a scoped application write `new CertificateEncryption()` for `new GlideCertificateEncryption()` and store the
 * secret with `setDisplayValue`.
 */
(function executeRule(current, previous) {
  var MAX_CHARS = 20000;
  var ATTEMPTS = 3;

  /* GlideRecord hands out GlideElements, which JSON would not write as text: every value is made a string. */
  function value(field) {
    return current.isValidField(field) ? String(current.getValue(field) || '').substring(0, MAX_CHARS) : '';
  }

  function display(field) {
    return current.isValidField(field) ? String(current.getDisplayValue(field) || '').substring(0, MAX_CHARS) : '';
  }

  /* The newest comment that the requester can read, without the line that says who wrote it and when. */
  function newestComment() {
    var entry = String(current.comments.getJournalEntry(1) || '');
    return entry.replace(/^[^\n]*\n/, '').substring(0, MAX_CHARS);
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
    return request.execute().getStatusCode();
  }

  var url = gs.getProperty('symptom_kb.url', '');
  var secret = gs.getProperty('symptom_kb.secret', '');
  if (!url || !secret) {
    gs.error('symptom-kb: set the properties symptom_kb.url and symptom_kb.secret');
    return;
  }

  var created = current.operation() === 'insert';
  var comment = created ? '' : newestComment();
  if (!created && !comment) {
    return;
  }

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
      by_requester: isByRequester(),
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

  /* The same id at every attempt: the service takes a delivery once, however often it arrives. */
  var id = [current.getUniqueValue(), value('sys_mod_count'), created ? 'insert' : 'update'].join('-');
  for (var attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      var status = send(url, secret, id, body);
      if (status >= 200 && status < 300) {
        return;
      }
      gs.warn('symptom-kb: attempt ' + attempt + ' for ' + value('number') + ' was answered with ' + status);
      if (status >= 400 && status < 500 && status !== 429) {
        return;
      }
    } catch (error) {
      gs.warn('symptom-kb: attempt ' + attempt + ' for ' + value('number') + ' failed: ' + error);
    }
  }
  gs.error('symptom-kb: ' + value('number') + ' could not be delivered');
})(current, previous);
