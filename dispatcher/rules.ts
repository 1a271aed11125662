import { MAX_CONTENT, type Draft } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import type { Clock } from '../runtime/clock.js'
import { Duplicates } from './duplicates.js'
import { folded } from './folded.js'
import { holdsLink } from './links.js'
import { WordList } from './words.js'

export interface RulesOptions {
  readonly clock: Pick<Clock, 'now'>
  /** Code points. */
  readonly maxLength?: number
  readonly links?: 'allow' | 'refuse'
  /** For how long an author may not repeat itself on a video, ms; 0: it may. */
  readonly duplicateMs?: number
}

/** What a site lets its viewers say. All of it is off by default. */
export class Rules {
  /** Words that no comment may hold. */
  words = new WordList('')
  readonly #clock: Pick<Clock, 'now'>
  readonly #maxLength: number
  readonly #refuseLinks: boolean
  readonly #duplicates: Duplicates | undefined

  constructor({ clock, maxLength = MAX_CONTENT, links = 'allow', duplicateMs = 0 }: RulesOptions) {
    this.#clock = clock
    this.#maxLength = maxLength
    this.#refuseLinks = links === 'refuse'
    this.#duplicates = duplicateMs > 0 ? new Duplicates(duplicateMs) : undefined
  }

  /** Notes a draft that keeps them, so that its repetition is seen. @param draft checked
   * @returns the first rule that it breaks; the message never quotes it */
  broken(draft: Draft): LiveError | undefined {
    const { content } = draft
    if ([...content].length > this.#maxLength) return new LiveError('CONTENT_TOO_LONG', `content must be at most ${this.#maxLength} characters here`)
    if (!this.#refuseLinks && this.words.size === 0 && !this.#duplicates) return undefined
    const text = folded(content)
    if (this.#refuseLinks && holdsLink(text)) return new LiveError('LINKS_NOT_ALLOWED', 'links are not allowed here')
    if (this.words.isIn(text)) return new LiveError('WORD_NOT_ALLOWED', 'a word in it is not allowed here')
    if (this.#duplicates?.isOne(draft, text, this.#clock.now())) return new LiveError('DUPLICATE_COMMENT', 'you said the same a moment ago')
    return undefined
  }

  /** A draft that kept them made no comment. */
  release(draft: Draft): void {
    this.#duplicates?.release(draft, folded(draft.content))
  }
}
