// Pages that follow what goes on: parts that renew themselves, runs that are followed, orders that need a key.
// It runs before console.js, so it sees each part as it was sent.
"use strict";

{
  const KEY = "contimg.key";
  const ANSWER = "contimg.answer";
  const MOST_LINES = 5000;
  const AGAIN_MS = 10000;
  const COLOURS = { pending: "idle", running: "busy", completed: "well", failed: "ill", cancelled: "idle" };

  const one = (selector, root = document) => root.querySelector(selector);
  const parts = () => [...document.querySelectorAll("[data-live]")];

  // Parts that renew themselves: the page is fetched again, and what differs is put in the place of what was.
  const sent = new Map(parts().map((part) => [part.id, part.outerHTML]));
  let asOf = new Date();
  let planned = false;

  async function renew(force = false) {
    let text;
    try {
      const answer = await fetch(location.href, { cache: "no-cache" });
      if (!answer.ok) {
        tellStale(`The service says ${answer.status}; load the page again to see why.`);
        return;
      }
      text = await answer.text();
    } catch {
      tellStale("The service does not answer.");
      return;
    }
    tellStale("");
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const part of parts()) {
      const next = fresh.getElementById(part.id);
      const inUse = part.contains(document.activeElement); // nobody's place is taken from under the keyboard
      if (!next || next.outerHTML === sent.get(part.id) || (inUse && !force)) continue;
      sent.set(part.id, next.outerHTML);
      part.replaceWith(next);
      enable(next);
      document.dispatchEvent(new CustomEvent("renewed", { detail: next }));
      if (inUse) Object.assign(next, { tabIndex: -1 }).focus({ preventScroll: true });
    }
  }

  function plan() {
    const every = parts().map((part) => Number(part.dataset.live)).filter((seconds) => seconds > 0);
    if (planned || every.length === 0) return;
    planned = true;
    setTimeout(async () => {
      if (!document.hidden) await renew();
      planned = false;
      plan();
    }, Math.min(...every) * 1000);
  }

  function tellStale(why) {
    if (!why) asOf = new Date();
    one("#stale").textContent = why && `${why} So things stood at ${asOf.toISOString().slice(11, 19)} UTC.`;
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && parts().some((part) => Number(part.dataset.live) > 0)) renew();
  });

  // A run that is followed: its state, its progress, and its log as it is written.
  function follow(box) {
    const { run } = box.dataset;
    const write = writer(one("pre", box), one("[data-lines]", box));
    const bar = one("progress", box);
    const stage = one("[data-stage]", box);
    const stream = new EventSource(box.dataset.follow);
    const on = (name, act) => stream.addEventListener(name, (event) => {
      const news = JSON.parse(event.data);
      if (news.run_id === run) return act(news);
      stream.close(); // this run is being run again, and it is that run that is told of
      followLog(box, write);
    });
    let state = one("[data-state] .state").textContent;
    on("status", ({ status }) => {
      show(status);
      if (state !== status) renew(true);
      state = status;
    });
    on("progress", (news) => {
      bar.value = news.progress;
      stage.textContent = `${news.progress} % ${news.stage ?? ""}`;
    });
    on("log", ({ lines }) => write(lines));
    on("complete", ({ success, error }) => {
      stream.close();
      if (success) bar.value = 100;
      if (state !== "cancelled") tell(""); // what was said of the order is past
      stage.textContent = error ?? state;
      renew(true);
    });
    stream.onerror = () => {
      if (stream.readyState !== EventSource.CLOSED) return; // it comes back by itself, and goes on where it was
      stage.textContent = "not followed: too many others are; trying again";
      setTimeout(() => follow(box), AGAIN_MS);
    };
  }

  function followLog(box, write) {
    const stream = new EventSource(box.dataset.log);
    stream.addEventListener("log", (event) => write([event.data]));
    stream.addEventListener("end", () => { stream.close(); renew(true); });
  }

  function show(status) {
    const badge = one("[data-state] .state");
    badge.className = `state ${COLOURS[status] ?? "odd"}`;
    badge.textContent = status;
  }

  // Streams start at the beginning of a log; of a very long one, the end is kept.
  function writer(log, told) {
    const sizes = [];
    let all = 0;
    let kept = 0;
    return (lines) => {
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      if (all === 0) log.textContent = "";
      log.append(`${lines.join("\n")}\n`);
      sizes.push(lines.length);
      all += lines.length;
      kept += lines.length;
      while (kept > MOST_LINES && sizes.length > 1) {
        kept -= sizes.shift();
        log.firstChild.remove();
      }
      if (atEnd) log.scrollTop = log.scrollHeight;
      told.textContent = kept < all ? `The last ${kept} of ${all} lines.` : `${all} lines.`;
    };
  }

  // Orders. The key stays in this tab, and travels in a header alone.
  const dialog = one("#key");
  const tell = (text) => { one("[data-answer]").textContent = text; };

  const usual = dialog && one("[data-reason]", dialog).textContent;

  function keyFor(reason) {
    const known = sessionStorage.getItem(KEY) ?? (dialog.dataset.needed === "false" ? "" : null);
    if (known !== null && !reason) return known;
    const field = one("input", dialog);
    one("[data-reason]", dialog).textContent = reason ?? usual;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => {
        const key = field.value.trim();
        field.value = "";
        const sendable = /^[\x20-\x7e]+$/.test(key);
        if (key && !sendable) tell("That is no key: keys and tokens are plain ASCII.");
        resolve(dialog.returnValue === "use" && sendable ? key : null);
      }, { once: true });
    });
  }

  function headersFor(form, key) {
    const digits = crypto.getRandomValues(new Uint32Array(4));
    form.dataset.once ??= [...digits].map((number) => number.toString(16)).join("-"); // sent again, done once
    const headers = { "Content-Type": "application/json", "Idempotency-Key": form.dataset.once };
    const isToken = key.split(".").length === 3;
    if (key) headers[isToken ? "Authorization" : dialog.dataset.header] = isToken ? `Bearer ${key}` : key;
    return headers;
  }

  function bodyOf(form) {
    const given = Object.fromEntries(new FormData(form));
    const config = given.cal_table ? { cal_table: given.cal_table } : {};
    return JSON.stringify({ config, priority: Number(given.priority ?? 0) });
  }

  async function order(form, reason) {
    const body = bodyOf(form);
    const key = await keyFor(reason);
    if (key === null) return;
    let answer, said;
    try {
      answer = await fetch(form.dataset.order, { method: "POST", headers: headersFor(form, key), body });
      said = await answer.json();
    } catch {
      tell("The service did not answer. Try again: it will not be done twice.");
      return;
    }
    delete form.dataset.once;
    if (answer.status === 401 || answer.status === 403) {
      keep(null);
      return order(form, answer.status === 401 && key ? `That key is not known, or no longer. ${usual}` : said.detail);
    }
    if (key) keep(key);
    if (answer.ok && said.run_id) {
      sessionStorage.setItem(ANSWER, JSON.stringify(said));
      location.assign(form.dataset.pages + encodeURIComponent(said.run_id));
      return;
    }
    tell(answer.ok ? `${said.job_id ?? `Batch ${said.id}`}: ${said.status.replace("canceled", "cancelled")}.` : said.detail);
    await renew(true);
    plan();
    one("[data-answer]").focus();
  }

  function keep(key) {
    if (key === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, key);
    one("[data-kept]").hidden = key === null;
  }

  function enable(root) {
    for (const control of root.querySelectorAll("form[data-order] :disabled")) control.disabled = false;
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.order === undefined) return;
    event.preventDefault();
    order(form);
  });

  document.addEventListener("change", ({ target: { form } }) => {
    const line = form?.dataset.order && form.nextElementSibling?.querySelector("[data-curl]");
    if (!line) return;
    line.dataset.curl ||= line.textContent; // without a body
    const body = bodyOf(form).replaceAll("'", "'\\''");
    line.textContent = `${line.dataset.curl} -H 'Content-Type: application/json' -d '${body}'`;
  });

  if (dialog) {
    enable(document);
    one("[data-kept]").hidden = sessionStorage.getItem(KEY) === null;
    one("[data-forget]").addEventListener("click", () => { keep(null); one("[data-answer]").focus(); });
    const { run_id: run, message, queue_connected: connected } = JSON.parse(sessionStorage.getItem(ANSWER)) ?? {};
    sessionStorage.removeItem(ANSWER);
    if (run && run === one("[data-run]")?.dataset.run) {
      tell(`${message}.${connected ? "" : " No worker is there yet, so it waits."}`);
    }
  }
  for (const box of document.querySelectorAll("[data-follow]")) {
    one("pre", box).scrollTop = one("pre", box).scrollHeight;
    follow(box);
  }
  plan();
}
