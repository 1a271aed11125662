import { count, positive } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { workOf } from './fanout.js'
import { resultTable } from './report/result-table.js'
import { fanOut, type Outcome } from './run.js'
import { startBareRelay } from './systems/bare-relay.js'
import { LiveSystem } from './systems/live.js'

export const relay: Benchmark = {
  name: 'relay',
  question: 'what does the gateway add to a bare relay?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers of the video', count, 4_000)
      // So few that the edge writes each comment at once, as a chunk of its own.
      .option('--rate <count>', 'comments per second', positive, 8),
  async run(flags, progress) {
    const work = workOf(flags, { viewers: numberOf(flags, 'viewers'), rate: numberOf(flags, 'rate') })
    const outcomes: Outcome[] = []
    for (const start of [() => LiveSystem.start({ via: 'gateway', counted: 'gateway', profile: flags.profile }), startBareRelay]) {
      progress.title(`${work.viewers} relayed viewers, ${work.rate} comments/s`)
      progress.step('starting a cluster')
      await using system = await start()
      outcomes.push(await fanOut(system, work, progress))
    }
    const [gateway, bare] = outcomes as [Outcome, Outcome]
    return {
      text: `${resultTable(outcomes)}\nThe gateway makes ${((100 * gateway.deliveriesPerCpuSecond) / bare.deliveriesPerCpuSecond).toFixed(0)}% of the bare relay's deliveries per CPU-second (of the relaying process alone).\n`,
      runs: outcomes,
      correct: outcomes.every(({ correct }) => correct),
    }
  },
}
