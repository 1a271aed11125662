import { Agent, type Dispatcher } from 'undici'
import type { HttpResponse } from 'uWebSockets.js'
import { uws } from '../../runtime/http/uws.js'

/** The limit of a relay: what comes of an edge's plain stream is written to the viewer, one corked write a chunk, with
 * back-pressure both ways, and nothing else. No placement, no frames, no other edge when that one dies. */

const [port = 0, edge = ''] = [Number(process.argv[2]), process.argv[3]]
const agent = new Agent({ connections: null, pipelining: 1, bodyTimeout: 40_000 })

function relay(path: string, res: HttpResponse): void {
  let upstream: Dispatcher.DispatchController | undefined
  let gone = false
  res.onAborted(() => {
    gone = true
    upstream?.abort(new Error('the viewer left'))
  })
  res.onWritable(() => {
    upstream?.resume()
    return true
  })
  agent.dispatch(
    { origin: edge, path, method: 'GET', headers: { accept: 'text/event-stream' } },
    {
      onRequestStart: controller => void (upstream = controller),
      onResponseStart() {
        if (!gone) res.cork(() => res.writeHeader('content-type', 'text/event-stream; charset=utf-8').write(':\n\n'))
      },
      onResponseData(controller, chunk) {
        if (!gone) res.cork(() => res.write(chunk) || controller.pause())
      },
      onResponseEnd: () => void (gone || res.close()),
      onResponseError: () => void (gone || res.close()),
    },
  )
}

uws
  .App()
  .get('/comments/:videoId', (res, req) => relay(req.getUrl(), res))
  .listen('127.0.0.1', port, socket => {
    if (!socket) throw new Error(`port ${port} is taken`)
  })
