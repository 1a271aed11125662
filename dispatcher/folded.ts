// Cf, variation selectors and the like: a reader does not see them.
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu

/** Text as rules compare it: what looks the same is the same. Compatible forms are one (NFKC: wide, styled and ligatured
 * letters), invisible characters are gone, case is folded, and white space is one blank, or none at
 * the ends. A blank that bears a mark is no white space: NFKC has ´ and ¨ so.
 *
 * Folding is Unicode's full one, by way of lower and upper case (ß, ẞ and SS are ss, ς is σ); the Turkish dotless ı stays
 * itself, as Unicode has it: by way of upper case it would become i, and one Turkish word another. */
export function folded(text: string): string {
  // First each mark in its place: upper case makes a letter of one, the iota below.
  const decomposed = text.replace(INVISIBLE, '').normalize('NFKD')
  const lower = decomposed.replace(/[^ı]+/gu, part => part.toLowerCase().toUpperCase().toLowerCase()).replaceAll('ς', 'σ')
  return lower.normalize('NFKC').replace(/\s+/gu, ' ').replace(/^ (?!\p{M})| $/gu, '')
}
