import { request, type IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { SUBPROTOCOL } from '../../protocol/message.js'
import { SseParser, type SseEvent } from '../../protocol/sse.js'
import type { End } from './notes.js'

/** Where a viewer begins: after the last id it saw, else with the newest few. */
export interface Begin {
  readonly cursor: string
  readonly recent: number | undefined
}

export interface LineHandlers {
  /** @param cursor the last id of whole events, '' where there was none yet */
  events(events: readonly SseEvent[], cursor: string): void
  /** How long to wait before another line. */
  retry(ms: number): void
  /** What no viewer should see. */
  offence(text: string): void
  /** Called once, and never after `close`. */
  over(end: Exclude<End, 'left'>): void
}

/** One connection of a viewer, by whatever transport. */
export interface Line {
  pause(): void
  resume(): void
  close(): void
}

/** @param url of the video's comments */
export type OpenLine = (url: string, begin: Begin, handlers: LineHandlers) => Line

export const eventStream: OpenLine = (url, { cursor, recent }, handlers) => {
  const parser = new SseParser()
  let response: IncomingMessage | undefined
  let isOver = false
  let isPaused = false
  const over = (end: Exclude<End, 'left'>) => {
    if (isOver) return
    isOver = true
    call.destroy()
    handlers.over(end)
  }
  const call = request(`${url}${recent !== undefined && cursor === '' ? `?recent=${recent}` : ''}`, {
    agent: false,
    headers: { accept: 'text/event-stream', ...(cursor === '' ? {} : { 'last-event-id': cursor }) },
  })
  call.on('response', answer => {
    if (isOver) return
    response = answer
    if (answer.statusCode !== 200) handlers.offence(`a stream was answered ${answer.statusCode}, which EventSource takes as final`)
    answer.on('data', (chunk: Buffer) => {
      if (isOver) return
      const events = parser.push(chunk)
      if (parser.retryMs !== undefined) handlers.retry(parser.retryMs)
      handlers.events(events, parser.lastEventId)
    })
    answer.on('end', () => over('ended'))
    answer.on('error', () => over('broken'))
    answer.on('close', () => over('broken'))
    if (isPaused) answer.pause()
  })
  call.on('error', () => over(response ? 'broken' : 'unreachable'))
  call.end()
  return {
    pause() {
      isPaused = true
      response?.pause()
    },
    resume() {
      isPaused = false
      response?.resume()
    },
    close() {
      isOver = true
      call.destroy()
    },
  }
}

/** Without a word from the server a line is broken; with one, it was ended. */
const NO_WORD = 1006

export const webSocket: OpenLine = (url, { cursor, recent }, handlers) => {
  const query = new URLSearchParams(cursor !== '' ? { lastEventId: cursor } : recent === undefined ? {} : { recent: String(recent) })
  const socket = new WebSocket(`${url.replace('http', 'ws')}?${query.toString()}`, [SUBPROTOCOL], { perMessageDeflate: false })
  let isOpen = false
  let isPaused = false
  let last = ''
  socket.on('open', () => {
    isOpen = true
    if (isPaused) socket.pause()
  })
  socket.on('message', (bytes: Buffer) => {
    const events = (JSON.parse(bytes.toString()) as { event: string; id?: string; data: unknown }[]).map(({ event, id, data }) => {
      last = id ?? last
      return { event, id: last, data: JSON.stringify(data) }
    })
    handlers.events(events, last)
  })
  socket.on('unexpected-response', (_, { statusCode }) => {
    handlers.offence(`a WebSocket was answered ${statusCode}`)
    socket.terminate()
  })
  socket.on('error', () => {})
  socket.on('close', (code, reason) => {
    const { retryMs } = reason.length > 0 ? (JSON.parse(reason.toString()) as { retryMs?: number }) : {}
    if (retryMs !== undefined) handlers.retry(retryMs)
    handlers.over(!isOpen ? 'unreachable' : code === NO_WORD ? 'broken' : 'ended')
  })
  return {
    pause() {
      isPaused = true
      if (isOpen) socket.pause()
    },
    resume() {
      isPaused = false
      if (isOpen) socket.resume()
    },
    close() {
      socket.removeAllListeners('message').removeAllListeners('close')
      socket.terminate()
    },
  }
}
