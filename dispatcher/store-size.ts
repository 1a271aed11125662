import { stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Gauge, type Registry } from 'prom-client'

/** Adds the size of the store's file with its log, and the free space of its disk, both read at each scrape. There is none of
 * them while it cannot be read: 0 would mean a full disk. */
export function measureStore(registry: Registry, path: string): void {
  const gauge = (name: string, help: string, read: () => Promise<number>) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const bytes = await read().catch(() => undefined)
        if (bytes === undefined) this.remove()
        else this.set(bytes)
      },
    })
  gauge('live_store_bytes', 'Size of the store\'s file and its log.', async () => (await stat(path)).size + (await stat(`${path}-wal`).catch(() => ({ size: 0 }))).size)
  gauge('live_disk_free_bytes', 'Free space, for this user, of the disk that the store is on.', async () => {
    const { bavail, bsize } = await statfs(dirname(path))
    return bavail * bsize
  })
}
