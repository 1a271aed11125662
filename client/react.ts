import { useEffect, useState } from 'react'
import { Comments, type Comment, type CommentsOptions, type Post, type Settings, type State } from './comments.js'

/** What a component shows. */
export interface CommentsView {
  /** The newest 200, oldest first. */
  readonly comments: readonly Comment[]
  /** The comment that stands above the others. */
  readonly pinned: Comment | undefined
  /** What the moderators have set; undefined before it is known. */
  readonly settings: Settings | undefined
  readonly viewers: number
  readonly state: State
  /** What is being sent, in this order. */
  readonly posts: readonly Post[]
  /** To post, page back, retry and moderate with; undefined before the first effect. */
  readonly client: Comments | undefined
}

const MOST = 200
const NOTHING: CommentsView = { comments: [], pinned: undefined, settings: undefined, viewers: 0, state: { is: 'connecting' }, posts: [], client: undefined }

/** The live comments of a video, as long as the component is there.
 * @param options those of the first call for this url and video */
export function useComments(url: string, video: string, options?: CommentsOptions): CommentsView {
  const [view, setView] = useState(NOTHING)
  useEffect(() => {
    const client = new Comments(url, video, options)
    const change = (changed: Partial<CommentsView>) => setView(view => ({ ...view, ...changed }))
    setView({ ...NOTHING, client })
    client.on('comment', comment => setView(view => ({ ...view, comments: [...view.comments, comment].slice(-MOST) })))
    client.on('rewind', ({ to }) => setView(view => ({ ...view, comments: view.comments.filter(({ id }) => Number(id) <= Number(to)) })))
    client.on('deleted', gone => setView(view => ({ ...view, comments: view.comments.filter(({ id }) => id !== gone) })))
    client.on('pinned', pinned => change({ pinned }))
    client.on('settings', settings => change({ settings }))
    client.on('viewers', viewers => change({ viewers }))
    client.on('state', state => change({ state }))
    client.on('posts', posts => change({ posts }))
    return () => client.close()
  }, [url, video])
  return view
}
