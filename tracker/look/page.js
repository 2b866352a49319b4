// Keeps the page in step with the server. Asked for as events, the page's own address tells what changes on it.
// Cells (view.py) are texts and attributes, and are only ever put as such. Whatever else changes is fetched as
// the page is, made by the server; without this script the page is whole and reloads itself.

const PUT = /^(aria-[a-z]+|d|data-state|datetime|height|title|value|width|x|y)$/;
const PAUSE = 1000; // ms between two fetches of the page
const RETRY = 4000; // ms until events are asked for again when there were none

let source = null; // of events, while the page can be seen
let shape = null; // of the page that the events speak of
let known = {}; // what they have told of it
let fetching = false;
let retrying = 0;

const main = () => document.getElementById("main");

function put(cells) {
  for (const [id, cell] of Object.entries(cells)) {
    const element = document.getElementById(id);
    for (const [name, text] of element ? Object.entries(cell) : []) {
      const [field, attribute] = name.split("@");
      const part = field ? element.querySelector(`[data-field="${CSS.escape(field)}"]`) : element;
      if (!part) continue;
      if (attribute === undefined) {
        if (part.textContent !== text) part.textContent = text;
      } else if (PUT.test(attribute)) {
        part.setAttribute(attribute, text);
      }
    }
  }
}

function learn(told) {
  for (const [id, cell] of Object.entries(told.cells)) known[id] = { ...known[id], ...cell };
  if (main().dataset.shape !== shape) {
    renew();
    return;
  }
  put(told.cells);
}

// Fetches the page, and again until it is the one that the events speak of.
async function renew() {
  if (fetching) return;
  fetching = true;
  do {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      show("lost");
    }
    await new Promise((resume) => setTimeout(resume, PAUSE));
  } while (source && main().dataset.shape !== shape);
  fetching = false;
}

// What stands in the fresh content where the element stood: links are known by where they lead.
function twin(element, content) {
  if (element.id) return content.querySelector(`#${CSS.escape(element.id)}`);
  const href = element.getAttribute("href");
  if (href === null) return content.querySelector(`#${CSS.escape(element.parentElement.id)} > ${element.localName}`);
  const section = (link) => link.closest("[aria-labelledby]")?.getAttribute("aria-labelledby");
  const links = [...content.querySelectorAll("a")].filter((link) => link.getAttribute("href") === href);
  return links.find((link) => section(link) === section(element)) ?? links[0];
}

// Takes the fresh page's content; what the reader has opened and focused stays, and what is scrolled to by itself.
function replace(fresh) {
  const before = main();
  const after = fresh.getElementById("main");
  if (!after) throw new Error("a fault, or a proxy's own page");
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  for (const details of before.querySelectorAll("details")) {
    const same = twin(details, after);
    if (same) same.open = details.open;
  }
  before.replaceWith(document.adoptNode(after));
  document.title = fresh.title;
  if (focused) (twin(focused, after) ?? after).focus({ preventScroll: true });
  show("live");
  if (after.dataset.shape === shape) put(known);
}

function show(connection) {
  document.documentElement.dataset.connection = connection;
  const status = document.getElementById("connection");
  if (status) status.hidden = connection === "live";
}

function watch() {
  clearTimeout(retrying);
  if (source || document.hidden) return;
  source = new EventSource(location.href);
  const on = (event, act) => source.addEventListener(event, ({ data }) => act(JSON.parse(data)));
  on("whole", (told) => {
    shape = told.shape;
    known = {};
    learn(told);
    show("live");
  });
  on("change", learn);
  on("reshape", (told) => {
    shape = told.shape;
    known = {};
    learn({ cells: {} });
  });
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) {
      show("lost"); // it comes back by itself
      return;
    }
    // There was an answer, but no events: the page tells why, as of a room whose last seat has gone.
    leave();
    renew();
    retrying = setTimeout(watch, RETRY);
  };
}

function leave() {
  source?.close();
  source = null;
  clearTimeout(retrying);
}

document.addEventListener("visibilitychange", () => (document.hidden ? leave() : watch()));
watch();
