"use strict";
// Keys and buttons arm only when every picture has been decoded and shown for a moment, so that
// nobody votes on what they have not seen. A vote that could not be sent is sent again with the
// same key, which the server stores once.

const SHOWN_FOR = 200; // milliseconds
const AGAIN_AFTER = 1000;
let shownAt = 0;
let listening = null;

const painted = () =>
  new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function visible() {
  if (document.visibilityState === "visible") return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", function look() {
      if (document.visibilityState !== "visible") return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    });
  });
}

async function arm(task) {
  const pictures = [...task.querySelectorAll(".pictures img")];
  try {
    await Promise.all(pictures.map((picture) => picture.decode()));
  } catch {
    await pause(AGAIN_AFTER);
    if (task.isConnected) window.location.reload();
    return;
  }
  const veiled = [...task.querySelectorAll(".veiled img")];
  if (veiled.length) await unveiled(task, veiled);
  await visible();
  await painted();
  shownAt = performance.now();
  await pause(SHOWN_FOR);
  const answers = task.querySelector("fieldset");
  if (task.isConnected && answers) answers.disabled = false;
  task.dataset.armed = "yes";
}

// Blurred pictures show when they are tapped, or all with the key b.
function unveiled(task, pictures) {
  return new Promise((resolve) => {
    const show = (picture) => {
      picture.classList.add("seen");
      if (pictures.every((one) => one.classList.contains("seen"))) resolve();
    };
    for (const picture of pictures) {
      picture.closest("figure").addEventListener("click", () => show(picture));
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "b" && task.isConnected) pictures.forEach(show);
    });
  });
}

function wait(section) {
  if (section.dataset.waiting === "over") return;
  listening = new EventSource("/events");
  listening.addEventListener("ready", () => {
    quiet();
    window.htmx.ajax("GET", "/question", { target: "#question", swap: "innerHTML" });
  });
  listening.addEventListener("drawn", (event) => {
    const [drawn, planned] = event.data.split(" ").map(Number);
    const bar = document.getElementById("drawing");
    if (bar) Object.assign(bar, { max: planned, value: drawn });
  });
}

function quiet() {
  if (listening) listening.close();
  listening = null;
}

function begin() {
  quiet();
  const task = document.querySelector("section.task[data-task]");
  const waiting = document.querySelector("section.waiting");
  if (task) arm(task);
  else if (waiting) wait(waiting);
}

function press(button, event) {
  event.preventDefault();
  button.click();
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=radio])")) return;
  const buttons = [...document.querySelectorAll("#question button[data-key]")];
  const mine = buttons.filter((button) => button.dataset.key === event.key);
  const usable = mine.find((button) => !button.matches(":disabled"));
  if (usable) press(usable, event);
  else if (mine.length) event.preventDefault();
});

document.addEventListener("htmx:configRequest", (event) => {
  const form = event.detail.elt.closest("form");
  if (!form || form.id !== "vote") return;
  event.detail.parameters["seconds"] = ((performance.now() - shownAt) / 1000).toFixed(2);
  const places = [...form.querySelectorAll("input[type=radio]:checked")];
  for (const name of [...event.detail.parameters.keys()]) {
    if (name.startsWith("verdict")) event.detail.parameters.delete(name);
  }
  if (places.length && event.detail.parameters["answer"] === "") {
    event.detail.parameters["answer"] = places.map((place) => place.value).join(",");
  }
});

// Without a connection the answer stays here, and goes out again by itself.
function trouble(shown) {
  const note = document.getElementById("trouble");
  if (note) note.hidden = !shown;
}

async function again(event) {
  const status = event.detail.xhr ? event.detail.xhr.status : 0;
  if (status === 401 || status === 404 || status === 422) {
    window.location.reload();
    return;
  }
  trouble(true);
  const { path, parameters } = event.detail.requestConfig;
  await pause(AGAIN_AFTER);
  window.htmx.ajax("POST", path, {
    target: "#question",
    swap: "innerHTML",
    values: Object.fromEntries(parameters.entries()),
  });
}

document.addEventListener("htmx:sendError", again);
document.addEventListener("htmx:responseError", again);
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "question") return;
  trouble(false);
  begin();
});
document.addEventListener("DOMContentLoaded", begin);
