// What pages gain from a script: copying curl lines, how long ago a time was, short URLs.
// Nothing here is needed to read a page.
"use strict";

// Curl lines name the host that this page came from.
function prepareCurl(root) {
  for (const line of root.querySelectorAll("code[data-curl]")) {
    line.textContent = line.textContent.replace(/'http:\/\/localhost:\d+/g, `'${location.origin}`);
  }
  for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
}
prepareCurl(document);

document.addEventListener("click", async ({ target: button }) => {
  if (!button.matches("button[data-copy]")) return;
  const line = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(line.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(line); // without a secure origin there is no clipboard
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

// Beside the exact time, how long ago that was.
const UNITS = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function ago(seconds) {
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return words.format(Math.trunc(seconds / length), unit);
}

function tellAges() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.dataset.exact ??= time.title;
    time.title = `${time.dataset.exact}, ${ago((Date.parse(time.dateTime) - Date.now()) / 1000)}`;
  }
}
tellAges();
setInterval(tellAges, 60000);
document.addEventListener("renewed", ({ detail }) => { prepareCurl(detail); tellAges(); });

// What was left empty does not belong into the URL.
for (const form of document.querySelectorAll("form.filters")) {
  form.addEventListener("submit", () => {
    const empty = [...form.elements].filter((control) => control.name && !control.disabled && control.value === "");
    for (const control of empty) control.disabled = true;
    setTimeout(() => { for (const control of empty) control.disabled = false; });
  });
}
