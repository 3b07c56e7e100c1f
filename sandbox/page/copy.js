import { announce, byId } from "./dom.js";

const SHOWN = 2500; // milliseconds
let hiding;

/** Put `pin` on the clipboard and say so; where the browser does not allow that, select it in `node`. */
export async function copy(pin, node) {
  try {
    await navigator.clipboard.writeText(pin);
    say(`PIN ${pin} copied`);
  } catch {
    getSelection().selectAllChildren(node);
    say("Copying is not allowed here. The PIN is selected: press Ctrl+C");
  }
}

function say(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.hidden = false;
  announce(text);
  clearTimeout(hiding);
  hiding = setTimeout(() => { toast.hidden = true; }, SHOWN);
}
