const GOLDEN_ANGLE = 137.508

/** The colour of an author, in degrees: always the same, and another for an id that is nearly the same. Characters that
 * follow one another are a golden angle apart, so digits and letters spread over the whole circle. */
export function hue(id) {
  let sum = 0
  for (const character of id) sum = (sum * 31 + character.codePointAt(0)) % 1_000_003
  return Math.floor((sum * GOLDEN_ANGLE) % 360)
}
