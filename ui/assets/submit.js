// Sends the one form of a page that exists to be sent (response mode form_post). Without script its button does.
const form = document.querySelector('form[data-submit]');
// Not form.submit(): a field of that name would hide the method.
if (form) HTMLFormElement.prototype.submit.call(form);
