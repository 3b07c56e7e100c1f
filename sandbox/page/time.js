// Points in time are milliseconds of this browser's clock; what the server sends are seconds that are left.

export const inSeconds = (seconds) => Date.now() + seconds * 1000;

export const secondsUntil = (moment) => Math.max(0, Math.ceil((moment - Date.now()) / 1000));

/** 0:09, 9:41, 23 h 59 min */
export function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The time of day of Unix seconds. */
export function timeOfDay(seconds, style = "medium") {
  return new Date(seconds * 1000).toLocaleTimeString([], { timeStyle: style });
}

/** Call `tick` now and then, often enough for a countdown of seconds. */
export function onTick(tick) {
  tick();
  setInterval(tick, 250);
}
