// What the page says, in the language of its document. Another language is a file of its own, read only where it is
// spoken; what it leaves out is said in English.

export const language = document.documentElement.lang
const [code] = language.toLowerCase().split('-')

const english = {
  // The states of the stream: what is wrong, and what is done about it.
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Connection lost. Trying again…',
  busy: 'The server has no room just now. Trying again…',
  silent: 'Nothing heard for 35 seconds. Connecting again…',
  offline: 'You are offline. Going on when the network is back.',
  hidden: 'Paused while nobody looks.',
  unopened: 'No connection yet. A browser keeps six to a site: if other tabs of this site are open, close one.',
  refused: reason => `The server refuses: ${reason}. Trying again…`,
  noVideo: 'No video can have this name: 1 to 64 letters, digits, _ or -.',
  crowded: 'No answer yet. A browser keeps six connections to a site: if other tabs of this site are open, close one.',

  comments: 'Comments',
  watching: count => `${count} watching`,
  rate: count => `${count} comments/s`,
  fewer: (shown, count) => `Showing ${shown} a second of ${count}.`,
  all: 'Show all',
  moderator: 'moderator',
  nothing: 'No comments yet',
  first: 'Write the first one.',
  soon: 'They appear here as people write them.',
  began: 'This is where it began.',
  older: 'Show older comments',
  loadingOlder: 'Loading older comments…',
  noOlder: 'Older comments cannot be read just now: try again',
  missed: 'Load what was missed',
  missedHere: 'Load what was missed here',
  moreMissed: 'Load more of what was missed here',
  loadingMissed: 'Loading what was missed…',
  noMissed: 'What was missed cannot be read: try again',
  more: 'more',
  newest: 'Newest',
  unseen: count => `${count} new`,
  newOnes: (count, last) => `${count} new comments. The last: ${last}`,

  name: 'Name',
  anonymous: 'anonymous',
  comment: 'Comment',
  say: 'Say something',
  send: 'Send',
  tooLong: (most, over) => `A comment has at most ${most} characters: this is ${over} too many.`,
  tooMany: most => `${most} of your comments are not sent yet: wait until they are.`,
  unsent: 'Your comments on their way',
  sending: 'Sending…',
  notSent: reason => `Not sent: ${reason}. `,
  held: 'Held for review: it appears once a moderator has approved it. ',
  notYet: reason => `Not sent yet: ${reason}`,
  unreachable: 'the server cannot be reached. Trying again…',
  noConnection: 'your browser may have no connection left. Trying again…',
  youAreOffline: 'you are offline. It goes when the network is back.',
  signingIn: 'waiting for the site to sign you in…',
  pinned: 'Pinned comment',
  closed: 'Comments are closed.',
  signedInOnly: 'Only signed-in viewers may write.',
  banned: 'you may not write here at the moment',
  slowMode: seconds => `Slow mode: one comment every ${seconds} s.`,
  wait: seconds => `Wait ${seconds} s`,
  slow: 'slow mode lets you write again in a moment. It goes then.',
  noStart: 'The address must say when the recording begins: start=, in Unix ms.',
  discard: 'Discard',
  hide: 'Hide',
  token: 'A token is needed',
  useToken: 'Use it',
}

const other = code === 'en' ? {} : await import(`./words-${code}.js`).then(({ words }) => words, () => ({}))

export const words = { ...english, ...other }

export const numeral = number => number.toLocaleString(language)
