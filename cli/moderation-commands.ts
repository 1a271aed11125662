import { Option } from 'commander'
import type { Settings } from '../protocol/entry.js'
import { commentId, heldId, slowMode, tokenOption, videoId } from './arguments.js'
import type { CommandLine } from './command-line.js'
import { withRegistry } from './connection.js'
import { withMeantCluster } from './meant-cluster.js'
import { decidedText, doneText, erasedText, heldText, Moderator, refusalOf, settingsText } from './moderate.js'
import { Misuse } from './output.js'
import { duration } from './token.js'

interface SettingsFlags {
  readonly slowMode?: number
  readonly closed?: true
  readonly open?: true
  readonly signedInOnly?: true
  readonly anyone?: true
}

/** The commands about what is done to comments and their authors. */
export function addModerationCommands(line: CommandLine): void {
  const moderating = <T>(token: string | undefined, task: (moderator: Moderator) => Promise<T>): Promise<T> =>
    line.calling(token, async client => {
      await withMeantCluster(line.reading(), () => Promise.resolve())
      return withRegistry(line.reading(), ['dispatchers'], ({ view }) => task(new Moderator(view, client)))
    })
  line.command('pin', 'pin a comment above all others, or unpin it', 'demo 243901510635520', 'demo none')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<ID>', 'the comment\'s id; none: unpin', text => (text === 'none' ? undefined : commentId(text)))
    .option(...tokenOption)
    .action(async (videoId: string, target: number | undefined, { token }: { token?: string }) =>
      line.print(await moderating(token, moderator => moderator.act(videoId, { type: 'pinned', target })), doneText(target === undefined ? 'nothing is pinned' : `${target} is pinned`)),
    )
  line.command('delete', 'delete a comment for good, for viewers and in the store', 'demo 243901510635520')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<ID>', 'the comment\'s id', commentId)
    .option(...tokenOption)
    .action(async (videoId: string, target: number, { token }: { token?: string }) => line.print(await moderating(token, moderator => moderator.act(videoId, { type: 'deleted', target })), doneText(`${target} is deleted`)))
  line.command('settings', 'set who may post to a video, and how often; without a setting, print the current ones', 'demo', 'demo --slow-mode 10', 'demo --closed', 'demo --open --anyone --slow-mode 0')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .option('--slow-mode <SECONDS>', 'minimum time between two comments by one author; 0: none', slowMode)
    .addOption(new Option('--closed', 'nobody may post').conflicts('open'))
    .option('--open', 'posting is allowed again')
    .addOption(new Option('--signed-in-only', 'only authors with a token may post').conflicts('anyone'))
    .option('--anyone', 'authors need no token')
    .option(...tokenOption)
    .action(async (videoId: string, { token, ...flags }: SettingsFlags & { token?: string }) => {
      const change = changeOf(flags)
      const answer =
        Object.keys(change).length > 0
          ? await moderating(token, moderator => moderator.set(videoId, change))
          : await line.calling(token, client => withRegistry(line.reading(), ['dispatchers'], ({ view }) => new Moderator(view, client).state(videoId)))
      await line.print(answer, settingsText)
    })
  line.command('ban', 'keep an author from posting to a video for a time', 'demo troll', 'demo troll --for 7d')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<AUTHOR>', 'the author\'s id')
    .option('--for <TIME>', 'for how long: 90s, 30m, 1h, 7d', duration, 3_600)
    .option(...tokenOption)
    .action(async (videoId: string, authorId: string, { for: seconds, token }: { for: number; token?: string }) =>
      line.print(await moderating(token, moderator => moderator.act(videoId, { type: 'author-banned', authorId, until: Date.now() + seconds * 1_000 })), doneText(`${authorId} is banned`)),
    )
  line.command('unban', 'lift a ban', 'demo troll')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<AUTHOR>', 'the author\'s id')
    .option(...tokenOption)
    .action(async (videoId: string, authorId: string, { token }: { token?: string }) => line.print(await moderating(token, moderator => moderator.act(videoId, { type: 'author-banned', authorId, until: 0 })), doneText(`${authorId} is not banned`)))
  line.command('held', 'list the comments of a video that wait for a moderator, oldest first', 'demo')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .option(...tokenOption)
    .action(async (videoId: string, { token }: { token?: string }) => line.print(await line.calling(token, client => withRegistry(line.reading(), ['dispatchers'], ({ view }) => new Moderator(view, client).held(videoId))), list => heldText(list, line.out.colour)))
  line.command('approve', 'publish a comment that is held', 'demo 0f1e2d3c4b5a69788796a5b4c3d2e1f0')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<ID>', 'the id that the command held prints', heldId)
    .option(...tokenOption)
    .action(async (videoId: string, id: string, { token }: { token?: string }) => line.print(await moderating(token, moderator => moderator.decide(videoId, id, { kind: 'approve' })), decidedText))
  line.command('refuse', 'refuse a comment that is held', 'demo 0f1e2d3c4b5a69788796a5b4c3d2e1f0', 'demo 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --reason \'no advertising\'')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<ID>', 'the id that the command held prints', heldId)
    .option('--reason <TEXT>', 'reason, shown to the poster')
    .option(...tokenOption)
    .action(async (videoId: string, id: string, { reason, token }: { reason?: string; token?: string }) => {
      const decision = refusalOf(reason)
      await line.print(await moderating(token, moderator => moderator.decide(videoId, id, decision)), decidedText)
    })
  line.command('erase', 'delete all comments of an author in all videos for good, for a person who asks to be forgotten', '--author ann --yes')
    .requiredOption('--author <ID>', 'the author\'s id')
    .option('--yes', 'do not ask first')
    .option(...tokenOption)
    .action(async ({ author, yes, token }: { author: string; yes?: true; token?: string }) => {
      if (!yes && !(await line.out.confirms(`All comments of ${author} in all videos will be deleted for good. To go on, type the author's id again: `, author))) {
        throw new Misuse('nothing was deleted: to delete an author\'s comments, type the id when asked, or give --yes')
      }
      await line.print(await moderating(token, moderator => moderator.erase(author)), erasedText)
    })
}

function changeOf({ slowMode, closed, open, signedInOnly, anyone }: SettingsFlags): Partial<Settings> {
  return {
    ...(slowMode === undefined ? {} : { slowModeSeconds: slowMode }),
    ...(closed || open ? { closed: closed === true } : {}),
    ...(signedInOnly || anyone ? { signedInOnly: signedInOnly === true } : {}),
  }
}
