import { MAX_RECENT } from '../protocol/limits.js'
import { cursor, gatewayOption, personFileOption, personOption, recent, videoId } from './arguments.js'
import type { CommandLine, GatewayFlags } from './command-line.js'
import { exportVideo } from './export.js'
import { meantGateway } from './gateway-address.js'
import { postComment } from './gateway-client.js'
import { counted } from './table.js'
import { actLine, commentLine, tail } from './tail.js'

/** The commands that ask a gateway, as a viewer, a reader and a poster do. */
export function addCommentCommands(line: CommandLine): void {
  line.command('export', 'print a video\'s comments, oldest first, as lines of JSON', 'demo', 'demo --after 0')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .option('--after <ID>', 'begin after this comment: the last one of an earlier export', cursor, '0')
    .option(...gatewayOption)
    .option(...personOption)
    .option(...personFileOption)
    .action(async (videoId: string, { after, ...flags }: GatewayFlags & { after: string }) => {
      const { comments, last } = await exportVideo({ gateway: line.readingGateway(flags), videoId, after, write: lines => line.out.write(lines), isUnread: () => line.out.isUnread })
      line.note(`${counted(comments, 'comment')}; what comes later: --after ${last}`)
    })
  line.command('tail', 'print a video\'s comments as they arrive, until Ctrl-C', 'demo', 'demo --recent 20 --json')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .option('--recent <N>', `begin with the last N comments, at most ${MAX_RECENT}`, recent, 10)
    .option(...gatewayOption)
    .option(...personOption)
    .option(...personFileOption)
    .action((videoId: string, { recent, ...flags }: GatewayFlags & { recent: number }) =>
      line.out.untilInterrupted(async signal =>
        tail({
          gateway: line.readingGateway(flags),
          videoId,
          recent,
          signal,
          show: comment => line.print(comment, comment => commentLine(comment, line.out.paint)),
          showAct: act => line.print(act, act => actLine(act, line.out.paint)),
          notice: text => line.note(text),
        }),
      ),
    )
  line.command('post', 'post a comment', 'demo \'hello from a terminal\'', 'demo \'on air in five\' --author studio --json')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<TEXT>', 'the comment')
    .option('--author <NAME>', 'the author (else anonymous; a token names its own)')
    .option(...gatewayOption)
    .option(...personOption)
    .option(...personFileOption)
    .action(async (videoId: string, content: string, { author: authorId, ...flags }: GatewayFlags & { author?: string }) => {
      const to = meantGateway(line.gatewayOf(flags))
      line.note(`the gateway at ${to.url} (${to.source})`)
      await line.print(await postComment(to, videoId, { content, ...(authorId === undefined ? {} : { authorId }) }), posted => ('held' in posted ? 'held: it appears once a moderator has approved it\n' : `posted: ${posted.id}\n`))
    })
}
