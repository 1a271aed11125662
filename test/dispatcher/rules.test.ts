import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { dispatcherVariables } from '../../dispatcher/config.js'
import { Duplicates } from '../../dispatcher/duplicates.js'
import { folded } from '../../dispatcher/folded.js'
import { holdsLink } from '../../dispatcher/links.js'
import { Rules, type RulesOptions } from '../../dispatcher/rules.js'
import { watchWords } from '../../dispatcher/words-file.js'
import { WordList } from '../../dispatcher/words.js'
import { checkBody } from '../../protocol/comment.js'
import { readConfig } from '../../runtime/config.js'
import { FakeClock } from '../support/fake-clock.js'
import { until } from '../support/until.js'
import { draft, Scene } from './cast.js'

const code = (result: object | undefined) => (result && 'error' in result ? (result as { error: { code: string } }).error.code : result && 'comment' in result ? 'stored' : undefined)
const rulesWith = (given: Omit<RulesOptions, 'clock'>) => new Rules({ ...given, clock: new FakeClock() })

t.test('without a rule everything that is a comment may be said', async t => {
  const rules = rulesWith({})
  for (const content of ['x'.repeat(1_000), 'https://example.com', 'damn', 'damn']) t.equal(rules.broken(draft('v', content)), undefined)
})

t.test('length is counted in characters, as people see most of them', async t => {
  const rules = rulesWith({ maxLength: 5 })
  t.equal(rules.broken(draft('v', '😀'.repeat(5))), undefined)
  t.match(rules.broken(draft('v', 'x'.repeat(6))), { code: 'CONTENT_TOO_LONG', status: 422, message: 'content must be at most 5 characters here' })
})

t.test('what people read as a link is one, and what they do not is none', async t => {
  const links = ['https://example.com/a?b=c', 'see www.example.com', 'go to example.com now', 'buy-now.xyz', 'me@example.com', 'HTTP://EXAMPLE.COM', 'ｅｘａｍｐｌｅ．ｃｏｍ', 'exam\u200bple.com', 'exa\u00admple.com', '//example.com/x', 'пример.рф', 'ftp://example.org']
  const texts = ['hello', 'what...no', '3.14', 'a.b', 'e.g. this', 'see file.txt', 'node.js!', 'half past 10.30', 'http', 'a/b', 'well, ok. then', '@ann hello', 'v1.2.3', '1.000.000']
  for (const content of links) t.ok(holdsLink(folded(content)), content)
  for (const content of texts) t.notOk(holdsLink(folded(content)), content)
  t.match(rulesWith({ links: 'refuse' }).broken(draft('v', 'example.com')), { code: 'LINKS_NOT_ALLOWED', status: 422 })
})

t.test('a listed word is found whole, in any case, form and spacing, and inside no other', async t => {
  const list = new WordList('Damn\r\n\n  buy  now \nstraße\n混蛋\n🖕\nc++\nΟΔΟΣ\nsık\n')
  t.equal(list.size, 8)
  for (const text of ['damn', 'oh DAMN!', 'ＤＡＭＮ', '𝐝𝐚𝐦𝐧', 'da\u200bmn', '(damn)', 'damn.', 'buy\n now', 'STRASSE', 'STRAẞE', 'Strasse', '´damn´', '\u0301damn', '你这个混蛋啊', 'x🖕y', 'I like C++', 'οδος', 'Οδοσ!', 'sık']) t.ok(list.isIn(folded(text)), text)
  for (const text of ['damned', 'goddamn', 'buy it now', 'buy', 'strassen', '混 蛋', 'c+', 'xdamn', 'damn1', 'sik', 'dam n', '']) t.notOk(list.isIn(folded(text)), text)
})

t.test('each rule holds without the others, and forbids nothing else', async t => {
  const links = rulesWith({ links: 'refuse' })
  t.equal(links.broken(draft('v', 'hello')), undefined)
  const words = rulesWith({})
  words.words = new WordList('damn')
  t.match(words.broken(draft('v', 'damn')), { code: 'WORD_NOT_ALLOWED', status: 422 })
  t.equal(words.broken(draft('v', 'example.com')), undefined)
})

t.test('a listed word has 100 characters at most', async t => {
  t.ok(new WordList('x'.repeat(100)).isIn('x'.repeat(100)))
  t.throws(() => new WordList(`fine\n${'x'.repeat(101)}`), { message: 'line 2 is longer than 100 characters' })
})

/** What a keyboard, a font or a copied text makes of a word. */
const disguises: readonly ((text: string) => string)[] = [
  text => text.toUpperCase(),
  text => text.normalize('NFD'),
  text => Array.from(text).join('\u200d'),
  text => text.replace(/[a-z]/g, letter => String.fromCodePoint(0xff41 + letter.charCodeAt(0) - 97)),
  text => text.replace(/[a-z]/g, letter => String.fromCodePoint(0x1d41a + letter.charCodeAt(0) - 97)),
]

t.test('property: a word stays found in whatever disguise, between whatever is no part of a word', async () => {
  const word = fc.string({ unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzäöüßéıœ'), minLength: 1, maxLength: 12 })
  const around = fc.constantFrom('', ' ', '\n', '. ', '!?', ' 😀', '"', ' the others say ', '¿')
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 20 }), fc.nat(), around, around, fc.subarray([...disguises]), (words, pick, before, after, worn) => {
      const list = new WordList(words.join('\n'))
      const chosen = words[pick % words.length]!
      const said = worn.filter(disguise => !(chosen.includes('ı') && disguise('a') === 'A')).reduce((text, disguise) => disguise(text), chosen)
      if (!list.isIn(folded(before + said + after))) throw new Error(`${chosen} was not found as ${JSON.stringify(before + said + after)}`)
      if (/^[a-z]+$/.test(chosen) && new WordList(chosen).isIn(folded(`x${chosen}x`)) && !/^x+$/.test(chosen)) throw new Error(`${chosen} was found inside another`)
    }),
    { numRuns: 2_000 },
  )
})

t.test('property: no text that is a comment makes a rule fail, whatever it holds', async () => {
  const rules = rulesWith({ maxLength: 900, links: 'refuse', duplicateMs: 1_000 })
  rules.words = new WordList('damn\nbuy now\n混蛋')
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 500 }), fc.string({ unit: 'grapheme', maxLength: 100 }), fc.webUrl(), fc.emailAddress())
  fc.assert(
    fc.property(text, content => {
      try {
        checkBody({ content })
      } catch {
        return
      }
      const broken = rules.broken(draft('v', content.trim()))
      if (broken && broken.status !== 422) throw broken
      if (folded(folded(content)) !== folded(content)) throw new Error('folding what is folded changes it')
    }),
    { numRuns: 1_000 },
  )
})

t.test('the longest comment costs no rule what would be felt', async t => {
  const rules = rulesWith({ links: 'refuse', duplicateMs: 1_000 })
  rules.words = new WordList(Array.from({ length: 10_000 }, (_, i) => `word${i} ${'x'.repeat(i % 80)}`).join('\n'))
  const contents = ['a.'.repeat(500), '混'.repeat(1_000), 'x '.repeat(500), '@'.repeat(1_000), 'http://'.repeat(142), '\ufdfa'.repeat(1_000), 'a@a'.repeat(333)]
  for (const content of contents) {
    const times = Array.from({ length: 20 }, () => {
      const since = performance.now()
      rules.broken(draft('v', content))
      return performance.now() - since
    })
    const least = Math.min(...times) // the rest is what else the machine does; what looks back and forth takes seconds
    t.ok(least < 250, `${content.slice(0, 6)}: ${least.toFixed(2)} ms`)
  }
})

t.test('a list is read again when it changes; one that cannot be read leaves the words as they were', async t => {
  const file = join(t.testdir(), 'words')
  writeFileSync(file, 'one')
  let words = new WordList('')
  const troubles: string[] = []
  t.teardown(watchWords(file, now => (words = now), error => troubles.push(error.message)))
  t.ok(words.isIn('one'), 'read at once')
  writeFileSync(`${file}.new`, 'one\ntwo')
  renameSync(`${file}.new`, file)
  await until(() => words.isIn('two'))
  rmSync(file)
  await until(() => troubles.length > 0)
  t.equal(troubles[0], 'cannot be read: ENOENT')
  t.ok(words.isIn('two'))
  writeFileSync(file, Buffer.from([0xff, 0xfe, 0x61]))
  await until(() => troubles.includes('is not UTF-8'))
  t.ok(words.isIn('two'))
  writeFileSync(file, 'three')
  await until(() => words.isIn('three'))
  t.notOk(words.isIn('two'))
})

t.test('bad rules are refused at start, by name, and without what is in the file', async t => {
  const folder = t.testdir()
  const message = (env: NodeJS.ProcessEnv) => {
    try {
      readConfig(env, dispatcherVariables)
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  const long = join(folder, 'long')
  writeFileSync(long, `fine\n${'secret'.repeat(50)}`)
  mkdirSync(join(folder, 'folder'))
  t.equal(message({ CONTENT_WORDS_FILE: join(folder, 'none') }), 'CONTENT_WORDS_FILE: cannot be read: ENOENT')
  t.equal(message({ CONTENT_WORDS_FILE: join(folder, 'folder') }), 'CONTENT_WORDS_FILE: cannot be read: EISDIR')
  t.equal(message({ CONTENT_WORDS_FILE: long }), 'CONTENT_WORDS_FILE: line 2 is longer than 100 characters')
  for (const length of ['0', '1001', 'x', '-1']) t.equal(message({ CONTENT_MAX_LENGTH: length }), 'CONTENT_MAX_LENGTH: must be a whole number from 1 to 1000')
  t.equal(message({ CONTENT_LINKS: 'no' }), 'CONTENT_LINKS: must be allow or refuse')
  t.equal(message({ CONTENT_DUPLICATE_SECONDS: '86401' }), 'CONTENT_DUPLICATE_SECONDS: must be at most 86400')
  t.equal(message({ CONTENT_MAX_LENGTH: '280', CONTENT_LINKS: 'refuse', CONTENT_DUPLICATE_SECONDS: '30' }), '')
})

t.test('the same from the same author on the same video is a duplicate for a time, whatever its case and spacing', async t => {
  const scene = new Scene(t, {}, { duplicateMs: 10_000 })
  const say = async (content: string, more = {}) => code((await scene.post(draft('v', content, more)))[0])
  t.equal(await say('Hello  there'), 'stored')
  t.equal(await say('hello there'), 'DUPLICATE_COMMENT')
  t.equal(await say('hello there', { authorId: 'bob' }), 'stored', 'another author')
  t.equal(await say('hello there', { videoId: 'w' }), 'stored', 'another video')
  t.equal(await say('hello there', { authorId: 'anonymous' }), 'stored')
  t.equal(await say('hello there', { authorId: 'anonymous' }), 'stored', 'nobody knows that it is the same one')
  await scene.clock.advance(9_000)
  t.equal(await say('hello there'), 'DUPLICATE_COMMENT')
  await scene.clock.advance(1_001)
  t.equal(await say('hello there'), 'stored', 'counted from the one that was stored')
  t.equal(await scene.metric('posts_total', { code: 'DUPLICATE_COMMENT' }), 2)
})

t.test('two of one batch, and two at once, are duplicates too', async t => {
  const scene = new Scene(t, {}, { duplicateMs: 10_000 })
  t.same((await scene.post(draft('v'), draft('v'))).map(code), ['stored', 'DUPLICATE_COMMENT'])
  const both = await Promise.all([scene.post(draft('w')), scene.post(draft('w'))])
  t.same(both.flat().map(code).sort(), ['DUPLICATE_COMMENT', 'stored'])
})

t.test('a key that comes again is never a duplicate, nor refused by a rule that is newer than its comment', async t => {
  const scene = new Scene(t, {}, { duplicateMs: 10_000 })
  const first = draft('v', 'damn')
  const [stored] = await scene.post(first)
  t.same((await scene.post(first))[0], { ...stored, created: false })
  t.equal(code((await scene.post(draft('v', 'damn')))[0]), 'DUPLICATE_COMMENT', 'it is still remembered after its repetition')
  await scene.clock.advance(10_001)
  t.equal(code((await scene.post(draft('v', 'damn')))[0]), 'stored')
  t.same((await scene.post(first))[0], { ...stored, created: false }, 'a late retry, though another key holds the place now')
  scene.rules.words = new WordList('damn')
  t.same((await scene.post(first))[0], { ...stored, created: false })
  t.equal(code((await scene.post(draft('v', 'damn')))[0]), 'WORD_NOT_ALLOWED')
})

t.test('a retry at another dispatcher is answered with the comment that the first had stored', async t => {
  const scene = new Scene(t, {}, { duplicateMs: 10_000 })
  const post = draft('v')
  const [outcome] = await scene.store.append([post], scene.clock.wall()) // the other did, and its answer was lost
  t.match((await scene.post(post))[0], { created: false, comment: { id: outcome?.kind === 'created' ? outcome.comment.id : 0 } })
  const other = draft('w')
  await scene.post(draft('w')) // said here under another key, and `other` at the other dispatcher
  await scene.store.append([other], scene.clock.wall())
  t.match((await scene.post(other))[0], { created: false })
})

t.test('what was not stored may be said again', async t => {
  const scene = new Scene(t, { maxQueueBytes: 1_000 }, { duplicateMs: 10_000 })
  scene.store.before = () => Promise.reject(new Error('a bug'))
  t.equal(code((await scene.post(draft('v')))[0]), 'INTERNAL')
  scene.store.before = () => {}
  t.equal(code((await scene.post(draft('v')))[0]), 'stored')
  t.same((await scene.post(...Array.from({ length: 9 }, (_, i) => draft('x', 'y'.repeat(90 + i))))).map(code).filter(code => code === 'OVERLOADED').length > 0, true)
  t.equal(code((await scene.post(draft('x', 'y'.repeat(98))))[0]), 'stored', 'it was refused for the queue, and never noted')
  const key = draft('k', 'one')
  await scene.post(key)
  t.equal(code((await scene.post({ ...key, content: 'two' }))[0]), 'KEY_REUSED')
  t.equal(code((await scene.post(draft('k', 'two')))[0]), 'stored')
})

t.test('while the store is away a post that breaks a rule is told so, or to come again', async t => {
  const scene = new Scene(t, {}, { maxLength: 3 })
  scene.store.before = () => Promise.reject(new Error('a bug'))
  t.equal(code((await scene.post(draft('v', 'long')))[0]), 'INTERNAL')
  scene.store.before = () => {}
  t.equal(code((await scene.post(draft('v', 'long')))[0]), 'CONTENT_TOO_LONG')
  t.equal(scene.store.calls.append, 0)
})

t.test('what is remembered of authors is bounded', async t => {
  const duplicates = new Duplicates(1_000)
  for (let i = 0; i < 100_500; i++) duplicates.isOne(draft('v', String(i)), String(i), 0)
  t.equal(duplicates.size, 100_000)
  t.notOk(duplicates.isOne(draft('v', '0'), '0', 0), 'the oldest are forgotten early')
  t.ok(duplicates.isOne(draft('v', '100499'), '100499', 0))
  duplicates.isOne(draft('v', 'later'), 'later', 2_000)
  t.equal(duplicates.size, 1)
})
