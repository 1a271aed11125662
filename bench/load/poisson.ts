/** How many events happen where `mean` do on average: Knuth's way for small means; beyond, the normal distribution is near enough.
 * @param random 0 ≤ x < 1 */
export function poisson(mean: number, random: () => number): number {
  if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())))
  const limit = Math.exp(-mean)
  let count = -1
  for (let product = 1; product > limit; count++) product *= random()
  return Math.max(0, count)
}
