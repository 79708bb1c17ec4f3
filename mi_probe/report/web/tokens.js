"use strict";
// Token map: the words of a sentence, coloured by what they tell. All text is set as text.
(() => {
  const source = document.getElementById("maps-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const at = (name) => document.getElementById(name);
  const definitions = new Map(data.definitions.map((one) => [one.key, one]));
  const state = { map: 0, sentence: 0, key: "", current: 0 };
  let cells = [];

  const make = (name, text, className) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const drawn = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const fill = (select, texts, chosen) => {
    select.replaceChildren(...texts.map((text, i) => {
      const option = make("option", text);
      option.value = String(i);
      return option;
    }));
    select.value = String(chosen);
  };
  const amount = (value) => {
    if (value === null) return "\u2013";
    const size = Math.abs(value);
    // Three decimals, or two digits where those would show less.
    const text = size >= 0.01 || size < 1e-6 ? value.toFixed(3) : value.toPrecision(2);
    return Number(text) === 0 ? "0.000" : text.replace("-", "\u2212");
  };
  const visible = (text) =>
    text.replace(/^ (?=\S)/, "").replace(/ /g, "\u2423").replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5") || "\u2205";

  const map = () => data.maps[state.map];
  const sentence = () => map().sentences[state.sentence];
  const text = () => data.texts[sentence().text];

  // Pieces of one word, as lists of places; every token by itself where words are off.
  const groups = () => {
    const { tokens, word } = text();
    const found = [];
    tokens.forEach((_, i) => {
      if (at("words").checked && i && word[i] === word[i - 1]) found.at(-1).push(i);
      else found.push([i]);
    });
    if (at("template").checked) return found;
    const own = found.filter((places) => !text().template[places[0]]);
    return own.length ? own : found;
  };
  const merged = (key, places) => {
    const values = sentence().values[key];
    if (!values) return null;
    const taken = places.map((i) => values[i]).filter((value) => value !== null);
    if (!taken.length) return null;
    if (definitions.get(key).merge === "last") return taken.at(-1);
    return taken.reduce((sum, value) => sum + value, 0);
  };

  // One scale for all sentences of a map, so that their colours can be compared. It ends
  // where 98 of 100 values do: one odd token would leave all others white.
  const limit = () => {
    const sizes = map().sentences.flatMap((one) => one.values[state.key])
      .filter((value) => value !== null).map(Math.abs).sort((a, b) => a - b);
    const largest = sizes.at(-1) ?? 0;
    const most = sizes[Math.ceil(0.98 * sizes.length) - 1] || largest;
    return { most: most || 1, beyond: largest > most };
  };
  const signed = () =>
    map().sentences.some((one) => one.values[state.key].some((value) => value < 0));
  const parse = (name) => {
    const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    return [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16));
  };
  const mixed = (share) => {
    const [paper, end] = [parse("--paper"), parse(share < 0 ? "--low" : "--high")];
    const weight = Math.min(1, Math.abs(share));
    return paper.map((value, i) => Math.round(value + weight * (end[i] - value)));
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => {
      const c = value / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const css = (rgb) => `rgb(${rgb.join(" ")})`;
  // Black or white, whichever stands out more.
  const over = (rgb) => (luminance(rgb) > 0.179 ? "#000000" : "#ffffff");

  const showDetail = (place) => {
    cells.forEach(({ element }, i) => element.classList.toggle("current", i === place));
    const { places, word } = cells[place];
    const entries = [["word", word], ["tokens", places.map((i) => visible(text().tokens[i])).join(" ")]];
    for (const key of map().definitions) {
      const { title, unit } = definitions.get(key);
      entries.push([title, `${amount(merged(key, places))} ${unit}`]);
    }
    const role = text().roles[places[0]];
    if (role) entries.push(["role", role]);
    at("detail").replaceChildren(...entries.map(([name, value]) => {
      const pair = make("div");
      pair.append(make("dt", name), make("dd", value));
      return pair;
    }));
    drawCurve(places.at(-1));
  };
  const focusOn = (place) => {
    state.current = Math.max(0, Math.min(cells.length - 1, place));
    cells.forEach(({ element }, i) => { element.tabIndex = i === state.current ? 0 : -1; });
    cells[state.current].element.focus();
  };

  const drawStrip = () => {
    const [{ most, beyond }, { unit, title }] = [limit(), definitions.get(state.key)];
    cells = groups().map((places) => {
      const whole = at("words").checked;
      const named = text().words[places[0]] || places.map((i) => text().tokens[i]).join("");
      const word = whole ? named : text().tokens[places[0]];
      const value = merged(state.key, places);
      const colour = mixed((value ?? 0) / most);
      const element = make("button", undefined, "token");
      element.type = "button";
      element.tabIndex = -1;
      element.classList.toggle("special", text().special[places[0]]);
      element.classList.toggle("answer", /gold|generated/i.test(text().roles[places[0]]));
      element.style.backgroundColor = css(colour);
      element.style.color = over(colour);
      element.setAttribute("aria-label", `${word}: ${title} ${amount(value)} ${unit}`);
      element.append(make("span", visible(word)), make("span", amount(value), "value"));
      return { element, places, word: named };
    });
    cells.forEach(({ element }, i) => {
      element.addEventListener("focus", () => { state.current = i; showDetail(i); });
      element.addEventListener("mouseenter", () => showDetail(i));
      element.addEventListener("mouseleave", () => showDetail(state.current));
      element.addEventListener("click", () => focusOn(i));
    });
    at("strip").replaceChildren(...cells.map(({ element }) => element));
    state.current = Math.max(0, Math.min(state.current, cells.length - 1));
    cells[state.current].element.tabIndex = 0;
    drawScale(most, beyond, unit);
    showDetail(state.current);
  };
  const drawScale = (most, beyond, unit) => {
    const stops = (signed() ? [-1, -0.5, 0, 0.5, 1] : [0, 0.5, 1]).map((share) => css(mixed(share)));
    at("scale-bar").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    at("scale-low").textContent = signed() ? amount(-most) : "0";
    at("scale-high").textContent = `${signed() ? "+" : ""}${amount(most)} ${unit}`;
    at("scale-words").textContent =
      (signed() ? "for the label to the right, against it to the left; " : "") +
      "one scale for all sentences of this map" +
      (beyond ? "; 2 % of the values lie beyond its ends" : "");
  };
  const drawCurve = (here) => {
    const values = sentence().values.cumulative_nats;
    at("curve-block").hidden = !values;
    if (!values) return;
    const ceiling = sentence().ceiling ?? map().ceiling;
    const known = values.filter((value) => value !== null);
    const [high, low] = [Math.max(0, ceiling ?? 0, ...known), Math.min(0, ...known)];
    const [height, left, pad] = [130, 44, 12];
    const width = at("curve").clientWidth || 640;
    const x = (i) => left + ((i + 0.5) * (width - left - pad)) / values.length;
    const y = (value) => pad + ((high - value) * (height - 2 * pad)) / (high - low || 1);
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const rule = (value, name) => {
      svg.append(drawn("line", { x1: left, x2: width, y1: y(value), y2: y(value), class: name }));
      const label = drawn("text", { x: left - 4, y: y(value) + 4, "text-anchor": "end" });
      label.textContent = value.toFixed(2);
      svg.append(label);
    };
    rule(0, "zero");
    if (ceiling) rule(ceiling, "ceiling");
    const points = values.flatMap((value, i) => (value === null ? [] : [`${x(i)},${y(value)}`]));
    svg.append(drawn("polyline", { points: points.join(" "), class: "line" }));
    if (values[here] !== null) {
      svg.append(drawn("circle", { cx: x(here), cy: y(values[here]), r: 4, class: "here" }));
    }
    at("curve").setAttribute("aria-label", `Cumulative information, from 0 to ${amount(values.at(-1))} nats`);
    at("curve").replaceChildren(svg);
  };

  const showSentence = () => {
    const { label, predicted } = sentence();
    const totals = sentence().values.cumulative_nats;
    const total = totals ? `; total ${amount(totals.at(-1))} nats` : "";
    const said = predicted ? `; predicted: ${predicted}` : "";
    at("sentence-facts").textContent = `Row ${text().id}; Y = ${label}${said}${total}`;
    at("previous").disabled = state.sentence === 0;
    at("next").disabled = state.sentence === map().sentences.length - 1;
    drawStrip();
  };
  const showDefinition = () => {
    at("definition-words").textContent = definitions.get(state.key).words;
    showSentence();
  };
  const showMap = () => {
    const { name, target, sentences, total, rows, notes, reading, definitions: keys } = map();
    const of = total > sentences.length ? `the first ${sentences.length} of ${total}` : `all ${total}`;
    at("tokens-note").textContent =
      `${name}${target ? `; Y: ${target}` : ""}. Estimated on ${rows} rows; ` +
      `${of} sentences of the saved table are on this page, in the order of the data.` +
      (notes ? ` Notes: ${notes}.` : "");
    at("tokens-reading").textContent = reading;
    state.sentence = Math.min(state.sentence, sentences.length - 1);
    fill(at("sentence"), sentences.map((one, i) => {
      const { words, word } = data.texts[one.text];
      const said = words.filter((_, j) => !j || word[j] !== word[j - 1]).join(" ");
      return `${i + 1}: ${said.slice(0, 50)}`;
    }), state.sentence);
    if (!keys.includes(state.key)) state.key = keys[0];
    fill(at("definition"), keys.map((key) => definitions.get(key).title), keys.indexOf(state.key));
    showDefinition();
  };
  const turn = (by) => {
    const wanted = state.sentence + by;
    if (wanted < 0 || wanted >= map().sentences.length) return;
    state.sentence = wanted;
    state.current = 0;
    at("sentence").value = String(wanted);
    showSentence();
  };

  at("map").addEventListener("input", () => { state.map = Number(at("map").value); showMap(); });
  at("sentence").addEventListener("input", () => turn(Number(at("sentence").value) - state.sentence));
  at("definition").addEventListener("input", () => {
    state.key = map().definitions[Number(at("definition").value)];
    showDefinition();
  });
  at("previous").addEventListener("click", () => turn(-1));
  at("next").addEventListener("click", () => turn(1));
  at("words").addEventListener("input", drawStrip);
  at("template").addEventListener("input", drawStrip);
  at("values").addEventListener("input", () => {
    at("strip").classList.toggle("with-values", at("values").checked);
  });
  at("strip").addEventListener("keydown", (event) => {
    const moves = {
      ArrowRight: () => focusOn(state.current + 1),
      ArrowLeft: () => focusOn(state.current - 1),
      Home: () => focusOn(0),
      End: () => focusOn(cells.length - 1),
      PageDown: () => { turn(1); focusOn(0); },
      PageUp: () => { turn(-1); focusOn(0); },
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    moves[event.key]();
  });
  document.addEventListener("theme", drawStrip);
  window.addEventListener("resize", () => drawCurve(cells[state.current].places.at(-1)));
  fill(at("map"), data.maps.map((one) => one.name), 0);
  showMap();
})();
