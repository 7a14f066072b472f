// What script adds to pages that work without it. No markup from strings, no inline style: the policy allows neither.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Show and hide a password.
for (const button of all('[data-reveal]')) {
  const input = button.parentElement.querySelector('input');
  button.hidden = false;
  button.addEventListener('click', () => {
    const shown = input.type === 'password';
    input.type = shown ? 'text' : 'password';
    button.setAttribute('aria-pressed', String(shown));
    input.focus();
  });
  // A browser offers to remember what stands in a password field, not in a text field.
  input.form?.addEventListener('submit', () => { input.type = 'password'; });
}

// After a failed form: to the field at fault, or to the message.
(document.querySelector('[aria-invalid="true"]') ?? document.querySelector('[role=alert][tabindex]'))?.focus();

// Menus: focus inside on opening, arrows between entries.
for (const menu of all('[data-menu]')) {
  menu.addEventListener('toggle', e => { if (e.newState === 'open') menu.querySelector('[aria-pressed="true"], a, button')?.focus(); });
  menu.addEventListener('keydown', e => {
    const entries = all('a, button', menu), at = entries.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    entries.at(to % entries.length).focus();
  });
}

// Times in the reader's own zone; the server's text stays in the title.
const lang = document.documentElement.lang;
const time = new Intl.DateTimeFormat(lang === 'en' ? 'en-GB' : lang, { dateStyle: 'medium', timeStyle: 'short' });
for (const element of all('time[datetime]')) {
  const at = new Date(element.dateTime);
  if (isNaN(at)) continue;
  element.title = element.textContent;
  element.textContent = time.format(at);
}
