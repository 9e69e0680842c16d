// The page of a link: take the code out of the address, so that the history of the browser does not keep it, and send it.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("link");
  const code = location.hash.slice(1);
  if (!form || !code) return;
  history.replaceState(null, "", location.pathname);
  form.elements.code.value = code;
  if ("atOnce" in form.dataset) form.requestSubmit();
  else form.querySelector("button").focus();
});
