// This script moves through the moments of each run. What it shows is in the page as data, so it knows nothing of TCP.
"use strict";

const root = document.documentElement;

function speak(language) {
  root.lang = language;
  document.title = root.dataset[language];
  stages.forEach((stage) => stage.show(stage.now));
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => speak(button.dataset.language));
}

// An element with text, or with children.
function make(name, content, attributes = {}) {
  const found = document.createElement(name);
  found.append(...[content].flat());
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  return found;
}

class Stage {
  constructor(article) {
    this.find = (selector) => article.querySelector(selector);
    this.all = (selector) => [...article.querySelectorAll(selector)];
    this.story = JSON.parse(this.find("script").textContent);
    this.scrubber = this.find(".scrubber");
    this.frame = this.find(".ladder");
    this.groups = this.all(".ladder [data-at]");
    this.diagrams = this.all(".diagram");
    this.line = this.find(".now");
    this.timer = 0;
    this.scrubber.addEventListener("input", () => this.show(Number(this.scrubber.value)));
    this.find(".back").addEventListener("click", () => this.step(-1));
    this.find(".forth").addEventListener("click", () => this.step(1));
    this.find(".play").addEventListener("click", () => (this.timer ? this.stop() : this.play()));
    this.find(".ladder").addEventListener("click", (event) => {
      const group = event.target.closest(".moment");
      if (group) this.show(Number(group.dataset.at));
    });
    this.show(Number(this.scrubber.value));
  }

  get last() {
    return this.story.moments.length - 1;
  }

  step(by) {
    this.stop();
    this.show(Math.min(Math.max(this.now + by, 0), this.last));
  }

  play() {
    this.show(this.now === this.last ? 0 : this.now);
    this.find(".play").firstChild.data = "❚❚ ";
    this.timer = setInterval(() => (this.now === this.last ? this.stop() : this.show(this.now + 1)), 900);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.find(".play").firstChild.data = "▶ ";
  }

  show(number) {
    const moment = this.story.moments[number];
    this.now = number;
    this.scrubber.value = number;
    this.scrubber.setAttribute("aria-valuetext", `${moment.time}: ${moment.said[root.lang]}`);
    this.find(".time").textContent = moment.time;
    this.find(".said").textContent = moment.said[root.lang];
    this.showLadder(number);
    this.diagrams.forEach((diagram, side) => this.showStates(diagram, side, moment.steps[side]));
    this.showVariables(number);
    this.showSegment(this.story.packets[moment.packet]);
  }

  // The ladder

  showLadder(number) {
    for (const group of this.groups) {
      const { at, until } = group.dataset;
      group.classList.toggle("later", Number(at) > number);
      group.classList.toggle("flying", until !== undefined && Number(at) <= number && number < Number(until));
      group.classList.toggle("here", Number(at) === number);
    }
    const here = this.groups.find((group) => Number(group.dataset.at) === number && group.dataset.y);
    this.line.setAttribute("transform", `translate(0 ${here.dataset.y})`);
    const { frame, line } = this;
    const [low, high] = [frame.getBoundingClientRect(), line.getBoundingClientRect()];
    if (high.top < low.top + 60 || high.bottom > low.bottom - 40) frame.scrollTop += high.top - low.top - low.height / 2;
  }

  // The states

  showStates(diagram, side, steps) {
    const path = this.story.paths[side].slice(0, steps);
    const initial = this.story.initial[side];
    const state = path.length ? path[path.length - 1].state : initial;
    const passed = new Set([initial, ...path.map((step) => step.state)]);
    const taken = new Set(path.map((step) => step.way));
    for (const box of diagram.querySelectorAll(".state")) {
      box.classList.toggle("passed", passed.has(box.dataset.state));
      box.classList.toggle("lit", box.dataset.state === state);
    }
    for (const way of diagram.querySelectorAll(".way")) way.classList.toggle("taken", taken.has(way.dataset.way));
    diagram.querySelector(".state-now").textContent = state === "END" ? "CLOSED" : state || "";
  }

  // The variables

  showVariables(number) {
    const now = this.story.moments[number].variables;
    const before = number ? this.story.moments[number - 1].variables : [-1, -1];
    for (const row of this.all(".variables [data-name]")) {
      [...row.cells].slice(-2).forEach((cell, side) => {
        const value = this.story.variables[now[side]]?.[row.dataset.name];
        const old = this.story.variables[before[side]]?.[row.dataset.name];
        cell.textContent = value ?? "–";
        cell.classList.toggle("new", value !== undefined && value !== old);
      });
    }
  }

  // The segment, in rows of 32 bits as the RFC draws its header

  showSegment(packet) {
    const box = this.find(".segment");
    box.hidden = packet === undefined;
    if (box.hidden || (box.shown === packet && box.language === root.lang)) return;
    Object.assign(box, { shown: packet, language: root.lang });
    box.replaceChildren(make("h4", [packet.title, make("span", packet.size[root.lang])]));
    for (const section of packet.sections) {
      const grid = make("div", [], { class: "octets" });
      for (const field of section.fields) grid.append(...this.cells(field));
      box.append(make("div", [make("h5", section.title[root.lang]), grid], { class: section.kind }));
    }
  }

  cells(field) {
    const name = field.name[root.lang];
    const value = field.value[root.lang];
    const octets = field.hex.match(/../g) || [];
    if (!name || !octets.length) return [make("div", [make("code", octets.join(" ") || name), make("span", value)], { class: "line" })];
    const cells = [];
    for (let at = field.at, from = 0; from < octets.length; ) {
      const many = Math.min(4 - (at % 4), octets.length - from);
      const code = make("code", octets.slice(from, from + many).join(" "));
      const content = from ? [make("i", "…"), code] : [make("i", name), make("b", value || "\u00a0"), code];
      cells.push(make("div", content, { style: `grid-column: span ${many}`, title: `${name}: ${value}` }));
      at += many;
      from += many;
    }
    return cells;
  }
}

const stages = [...document.querySelectorAll(".stage")].map((article) => new Stage(article));

// For printing, show everything as it is at the end of the run.
let before = [];
addEventListener("beforeprint", () => {
  before = stages.map((stage) => stage.now);
  stages.forEach((stage) => stage.stop() || stage.find(".history")?.setAttribute("open", ""));
  document.querySelectorAll(".ladder .flying").forEach((group) => group.classList.remove("flying"));
  stages.forEach((stage) => stage.diagrams.forEach((diagram, side) => stage.showStates(diagram, side, stage.story.paths[side].length)));
});
addEventListener("afterprint", () => stages.forEach((stage, index) => stage.show(before[index])));
