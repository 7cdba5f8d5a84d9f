// Numbers and times as text. A value that was not measured is shown as a dash, never as zero.

const DASH = "–";
const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

export function count(value) {
  return value === null ? DASH : whole.format(value);
}

/** Bps with a sign; U+2212 lines up with +. */
export function bps(value) {
  if (value === null) return DASH;
  const digits = Math.abs(value) < 100 ? 2 : 1;
  const text = new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(Math.abs(value));
  const shown = Number(text.replaceAll(",", ""));
  return (shown === 0 ? "" : value < 0 ? "\u2212" : "+") + text;
}

export function us(value) {
  if (value === null) return DASH;
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : whole.format(value);
}

export function percent(share) {
  if (share === null) return DASH;
  const value = share * 100;
  return `${Number.isInteger(Math.round(value * 1e6) / 1e6) ? Math.round(value) : value.toFixed(1)} %`;
}

/** A distance between outputs: "0.42 bps", or of probabilities "0.042"; as many digits as say something. */
export function distance(value, unit) {
  if (value === null) return DASH;
  const text = value === 0 ? "0" : value < 1e-5 ? value.toExponential(1) : Number(value.toPrecision(3)).toString();
  return unit === "bps" ? `${text} bps` : text;
}

/** Nanoseconds since 1970 as UTC: "2021-01-04 09:31:07.500". */
export function instant(ns) {
  return ns === null ? DASH : new Date(ns / 1e6).toISOString().replace("T", " ").replace("Z", "");
}

/** Only the time of day, to the second. */
export function clock(ns) {
  return ns === null ? DASH : new Date(ns / 1e6).toISOString().slice(11, 19);
}

/** rolled_back as "rolled back", ab:50% as "A/B 50 %". */
export function words(name) {
  return name.replaceAll("_", " ").replace(/^ab(?=$|:)/, "A/B").replace(/^A\/B:(.*)%$/, "A/B $1 %");
}

/** good, bad, warn or nothing, by what a state, verdict or event means for the person who looks. */
export function mood(name) {
  if (/^(promoted|champion|ready|alarm_cleared)/.test(name)) return "good";
  if (/^(rolled_back|refused|quarantined|worker_died|mlflow_lost|failed|heartbeat_lost)/.test(name)) return "bad";
  if (/^(paused|alarm|inconclusive|withdrawn|checking|feed_lost|journal)/.test(name)) return "warn";
  return "";
}
