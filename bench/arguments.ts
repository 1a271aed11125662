import { InvalidArgumentError } from 'commander'

/** A flag that is a number above 0. */
export function positive(text: string): number {
  if (!/^[0-9]+(\.[0-9]+)?$/.test(text) || Number(text) <= 0) throw new InvalidArgumentError('It must be a number above 0.')
  return Number(text)
}

/** A flag that counts something of which there must be one at least. */
export function count(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text) || Number(text) < 1) throw new InvalidArgumentError('It must be a whole number from 1.')
  return Number(text)
}

/** A flag that counts something that may be left out. */
export function countOrNone(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 0.')
  return Number(text)
}

/** A flag that names some of those, parted by commas. It stays the text it was. */
export function someOf(names: readonly string[]): (text: string) => string {
  return text => {
    const unknown = text.split(',').filter(name => !names.includes(name))
    if (unknown.length > 0) throw new InvalidArgumentError(`Not one of ${names.join(', ')}: ${unknown.join(', ')}.`)
    return text
  }
}

/** A flag that names a part that viewers connect to. */
export function part(text: string): string {
  if (text !== 'edge' && text !== 'gateway') throw new InvalidArgumentError('It must be edge or gateway.')
  return text
}
