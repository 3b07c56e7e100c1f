// What every part of the page needs. Texts are only ever set as text: those of messages come from anywhere.

export const byId = (id) => document.getElementById(id);

/** Make an element. Properties (className, hidden, …) and attributes with a dash or a role are both welcome. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Write `text`, if it is not there already: a screen reader may read what changes. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Have a screen reader say `text`, even if it is what was said last. Of several at once, it says the last. */
export function announce(text) {
  const announcer = byId("announcer");
  announcer.textContent = "";
  clearTimeout(saying);
  saying = setTimeout(() => { announcer.textContent = text; }, 50);
}

let saying;
