// Filters and search. Without this script every claim is shown; with it the address remembers what was asked for.
"use strict";
const form = document.getElementById("filters");
const [words, family, found, reset, none] =
  ["words", "family", "found", "reset", "none"].map((id) => document.getElementById(id));
const claims = [...document.querySelectorAll(".claim")];
const families = [...document.querySelectorAll(".family")];
const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
const texts = new Map(claims.map((claim) => {
  const section = claim.closest(".family");
  return [claim, { family: section.dataset.family, words: plain(`${section.dataset.family} ${claim.textContent}`) }];
}));

function show() {
  const asked = plain(words.value).split(/\s+/).filter(Boolean);
  const answer = form.elements.answer.value;
  let shown = 0;
  for (const claim of claims) {
    const text = texts.get(claim);
    claim.hidden = !(
      (!family.value || text.family === family.value) &&
      (!answer || claim.dataset.answer === answer) &&
      asked.every((word) => text.words.includes(word)));
    shown += !claim.hidden;
  }
  for (const section of families) section.hidden = !section.querySelector(".claim:not([hidden])");
  none.hidden = shown > 0;
  reset.hidden = shown === claims.length;
  found.textContent = `${shown} of ${claims.length} claims`;
}

function remember() {
  const asked = { search: words.value, family: family.value, verdict: form.elements.answer.value };
  location.replace(`#${new URLSearchParams(Object.entries(asked).filter(([, value]) => value))}`);
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  words.value = state.get("search") ?? "";
  family.value = state.get("family") ?? "";
  form.elements.answer.value = state.get("verdict") ?? "";
  show();
}

form.addEventListener("input", () => { show(); remember(); });
form.addEventListener("reset", () => setTimeout(() => { show(); remember(); }));
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", recall);
form.hidden = false;
recall();
