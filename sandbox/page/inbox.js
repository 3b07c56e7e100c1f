// The stream of messages. It begins with all of them, each time the connection is made anew.

const PAUSE = 2000; // milliseconds

/** Show what arrives on `phone`, and in `connection` whether anything can. */
export function follow(phone, connection) {
  let run = null;
  let kept = 0; // messages to come that are not new

  function connect() {
    const events = new EventSource("/events");
    events.addEventListener("start", (event) => {
      const start = JSON.parse(event.data);
      if (run !== start.run) phone.clear(); // another sandbox, whose messages have the same ids
      ({ run, kept } = start);
      say("Live", true);
    });
    events.addEventListener("message", (event) => {
      phone.show(JSON.parse(event.data), kept > 0);
      kept -= 1;
    });
    events.addEventListener("error", () => {
      say("Connection lost, trying again…", false);
      if (events.readyState === EventSource.CLOSED) setTimeout(connect, PAUSE);
    });
  }

  function say(text, live) {
    if (connection.textContent !== text) connection.textContent = text;
    connection.classList.toggle("live", live);
    connection.classList.toggle("lost", !live);
  }

  connect();
}
