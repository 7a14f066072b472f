// Passkeys: the browser's half of a ceremony. Everything else on these pages works without script.
const bytes = text => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), c => c.charCodeAt(0));
const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
const able = 'PublicKeyCredential' in window && !!navigator.credentials;
const lists = o => Object.fromEntries(['allowCredentials', 'excludeCredentials'].filter(k => o[k]).map(k => [k, o[k].map(c => ({ ...c, id: bytes(c.id) }))]));

// Browsers from before 2025 lack the JSON forms.
function parse(kind, o) {
  const own = PublicKeyCredential[kind === 'create' ? 'parseCreationOptionsFromJSON' : 'parseRequestOptionsFromJSON'];
  if (own) return own.call(PublicKeyCredential, o);
  return { ...o, challenge: bytes(o.challenge), ...lists(o), ...(o.user ? { user: { ...o.user, id: bytes(o.user.id) } } : {}) };
}
function json(c) {
  if (c.toJSON) return JSON.stringify(c.toJSON());
  const response = {};
  for (const k of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) if (c.response[k]) response[k] = text(c.response[k]);
  if (c.response.getTransports) response.transports = c.response.getTransports();
  return JSON.stringify({ id: c.id, rawId: text(c.rawId), type: c.type, authenticatorAttachment: c.authenticatorAttachment ?? undefined, clientExtensionResults: c.getClientExtensionResults(), response });
}

let waiting;
// One ceremony at a time: a browser refuses a second one.
async function ceremony(form, mediation) {
  waiting?.abort();
  const mine = waiting = new AbortController();
  const fields = new URLSearchParams(new FormData(form));
  fields.delete('credential');
  const answer = await fetch(form.dataset.options, { method: 'POST', body: fields, headers: { accept: 'application/json' } });
  if (!answer.ok) throw Object.assign(new Error('options'), { name: 'OptionsError' });
  const { flow, publicKey } = await answer.json();
  if (mine.signal.aborted) return;
  if (flow) form.elements.flow.value = flow;
  const kind = form.dataset.passkey;
  const credential = await navigator.credentials[kind]({ publicKey: parse(kind, publicKey), signal: mine.signal, ...(mediation ? { mediation } : {}) });
  if (!credential) return;
  form.elements.credential.value = json(credential);
  HTMLFormElement.prototype.submit.call(form);
}

for (const form of document.querySelectorAll('form[data-passkey]')) {
  const without = form.parentElement.querySelector('[data-without-passkeys]');
  if (!able) { if (without) without.hidden = false; continue; }
  form.hidden = false;
  for (const other of document.querySelectorAll('[data-with-passkeys]')) other.hidden = false;
  const button = form.querySelector('button[type=submit]'), wrong = form.querySelector('[data-passkey-error]');
  form.addEventListener('submit', async e => {
    e.preventDefault();
    if (wrong) wrong.hidden = true;
    button.setAttribute('aria-busy', 'true');
    try { await ceremony(form); } catch (err) {
      // AbortError: another ceremony took over. InvalidStateError: the authenticator holds one already.
      if (wrong && err.name !== 'AbortError') {
        wrong.querySelector('span').textContent = wrong.dataset[err.name === 'InvalidStateError' ? 'known' : 'failed'];
        wrong.hidden = false;
      }
    } finally { button.removeAttribute('aria-busy'); }
  });
}

// Conditional mediation: passkeys stand in the list that the browser opens under the name field. Nothing opens by itself.
const quiet = document.querySelector('form[data-passkey=get][data-conditional]');
if (able && quiet && PublicKeyCredential.isConditionalMediationAvailable) {
  try {
    if (await PublicKeyCredential.isConditionalMediationAvailable()) await ceremony(quiet, 'conditional');
  } catch { /* nobody asked for it: the button still works */ }
}

// What we hold, told to the browser, so that it offers nothing that was removed and nobody under an old name.
const held = document.querySelector('[data-signal-rp]');
if (able && held) {
  const { signalRp: rpId, signalUser: userId, signalName: name, signalDisplay: displayName, signalCredentials } = held.dataset;
  const say = (what, options) => PublicKeyCredential[what]?.(options).catch(() => { /* advice, not more */ });
  await say('signalAllAcceptedCredentials', { rpId, userId, allAcceptedCredentialIds: JSON.parse(signalCredentials) });
  await say('signalCurrentUserDetails', { rpId, userId, name, displayName });
}

// Copying and printing: the buttons stay hidden without script, which alone can do it.
for (const button of document.querySelectorAll('[data-copy]')) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.querySelector('[data-label]').textContent = button.dataset.done;
  });
}
for (const button of document.querySelectorAll('[data-print]')) {
  button.hidden = false;
  button.addEventListener('click', () => window.print());
}
