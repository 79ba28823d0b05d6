"use strict";
// Details of a trial: a copy of its card, shown while something of it is pointed at, kept when
// it is chosen. Without scripts all cards are on the page anyway.
(() => {
  const panel = document.getElementById("details");
  const body = panel.querySelector(".body");
  let pinned = false;
  let opener = null;

  const hide = () => {
    const inside = panel.contains(document.activeElement); // what is hidden loses the focus
    panel.hidden = true;
    pinned = false;
    if (opener && inside) opener.focus();
    opener = null;
  };
  const show = (trial, pin, from) => {
    const card = document.getElementById(`trial-${trial}`);
    if (!card || (pinned && !pin)) return;
    const copy = card.cloneNode(true);
    copy.removeAttribute("id");
    body.replaceChildren(copy);
    panel.hidden = false;
    panel.scrollTop = 0;
    pinned = pin;
    if (!pin) return;
    opener = from;
    panel.focus({ preventScroll: true });
  };
  const leave = () => { if (!pinned) panel.hidden = true; };

  panel.querySelector(".close").addEventListener("click", hide);
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  for (const one of document.querySelectorAll("button[data-trial]")) {
    const trial = one.dataset.trial;
    one.addEventListener("click", () => show(trial, true, one));
    one.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") show(trial, false); });
    one.addEventListener("pointerleave", leave);
  }
  for (const chart of document.querySelectorAll(".plotly-graph-div")) {
    const trialOf = (event) => event.points.map((point) => point.customdata).find((one) => one !== undefined);
    chart.on("plotly_hover", (event) => { if (trialOf(event) !== undefined) show(trialOf(event), false); });
    chart.on("plotly_click", (event) => { if (trialOf(event) !== undefined) show(trialOf(event), true, null); });
    chart.on("plotly_unhover", leave);
  }
  // Charts that were drawn while they were folded away know no width.
  for (const one of document.querySelectorAll("details")) {
    one.addEventListener("toggle", () => {
      for (const chart of one.querySelectorAll(".plotly-graph-div")) Plotly.Plots.resize(chart);
    });
  }
})();
