// Numbers as a reader sees them. The twin of number_text in cnnviz/trace.py: both give the same text for the same number.

/** Whole numbers plain, others with four significant digits, U+2212 as the minus sign, 1.2e6 beyond six digits. */
export function numberText(x) {
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return x < 0 ? `−${-x}` : String(Math.abs(x));
  if (Number.isNaN(x)) return "nan";
  const sign = x < 0 ? "−" : "";
  if (!Number.isFinite(x)) return `${sign}∞`;
  const exact = Number(Math.abs(x).toPrecision(12)); // 2.9999999999999996 is 3: last bits differ between languages
  if (exact < 1e-12) return "0"; // what is left of sums that cancel
  if (Number.isInteger(exact) && exact < 1e6) return `${sign}${exact}`;
  const [digits, power] = exact.toExponential(3).split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) return sign + String(Number(`${digits}e${exponent}`));
  return `${sign}${Number(digits)}e${String(exponent).replace("-", "−")}`;
}

/** A number as a factor or summand: negative ones in brackets. */
export function factorText(x) {
  return x < 0 ? `(${numberText(x)})` : numberText(x);
}

/** A number added at the end of a sum: " + 0.5", " − 0.5", or nothing for 0. */
export function signedText(x) {
  return x === 0 ? "" : ` ${x < 0 ? "−" : "+"} ${numberText(Math.abs(x))}`;
}

/** A probability in whole per cents; one that is not quite certain does not say 100 %. */
export function probabilityText(share) {
  return share >= 0.995 && share < 1 ? ">99 %" : `${Math.round(100 * share)} %`;
}
