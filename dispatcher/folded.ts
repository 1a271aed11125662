// Cf, variation selectors and the like: a reader does not see them.
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu

/** Text as rules compare it: what looks the same is the same. Compatible forms are one (NFKC: wide, styled and ligatured
 * letters), invisible characters are gone, case is folded, and white space is one blank.
 *
 * Folding is Unicode's full one, by way of upper case (ß and SS are ss, ς is σ); the Turkish dotless ı stays itself, as
 * Unicode has it: by way of upper case it would become i, and one Turkish word another. */
export function folded(text: string): string {
  const compatible = text.normalize('NFKC').replace(INVISIBLE, '')
  const lower = compatible.replace(/[^ı]+/gu, part => part.toUpperCase().toLowerCase()).replaceAll('ς', 'σ')
  return lower.normalize('NFKC').replace(/\s+/gu, ' ').trim()
}
