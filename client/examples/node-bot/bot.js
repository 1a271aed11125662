// Answers whoever writes !time: node client/examples/node-bot/bot.js http://127.0.0.1:8080 demo

import { Comments } from '../../dist/comments.js'

const [server = 'http://127.0.0.1:8080', video = 'demo'] = process.argv.slice(2)
const comments = new Comments(server, video, { recent: 0 })
process.once('SIGINT', () => comments.close())

for await (const { authorId, content } of comments) {
  if (content !== '!time') continue
  await comments.post(`${authorId}: it is ${new Date().toISOString()}`, 'clock').catch(({ message }) => process.stderr.write(`${message}\n`))
}
