export interface Comment {
  readonly id: string
  readonly videoId: string
  readonly authorId: string
  readonly content: string
  readonly createdAt: number
}

export interface Page {
  readonly comments: Comment[]
  readonly nextCursor: string | null
}

/** A cluster as those see it who call its public API. */
export abstract class Api {
  /** The public URL, without a slash at its end. */
  abstract readonly url: string

  stream(videoId: string, query = ''): string {
    return `${this.url}/comments/${videoId}${query}`
  }

  /** POSTs a comment; the answer, whatever its status. */
  post(videoId: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(this.stream(videoId), { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
  }

  /** Posts a comment and expects 201. */
  async say(videoId: string, content: string): Promise<Comment> {
    const response = await this.post(videoId, { content })
    if (response.status !== 201) throw new Error(`the post was answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as Comment
  }

  /** A page of history. */
  async page(videoId: string, query = ''): Promise<Page> {
    const response = await fetch(this.stream(videoId, query))
    if (response.status !== 200) throw new Error(`history was answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as Page
  }

  /** All that is stored of a video, oldest first. */
  async history(videoId: string): Promise<Comment[]> {
    const all: Comment[] = []
    for (let cursor: string | null = '0'; cursor !== null; ) {
      const { comments, nextCursor }: Page = await this.page(videoId, `?direction=after&pageSize=200&cursor=${cursor}`)
      all.push(...comments)
      cursor = nextCursor
    }
    return all
  }
}
