import t from 'tap'
import { joinConnectStrings, parseConnectString, parseServers, printServer } from '../../../registry/zookeeper/connect-string.js'

t.test('servers and chroot are taken apart', t => {
  const cases: [text: string, servers: string, chroot: string][] = [
    ['127.0.0.1:2181/live-comments', '127.0.0.1:2181', '/live-comments'],
    ['a:1,b:2,c/x/y', 'a:1,b:2,c', '/x/y'],
    ['localhost', 'localhost', ''],
    ['localhost:2181/', 'localhost:2181', ''],
    ['[::1]:2181,[fe80::1%eth0]/x', '[::1]:2181,[fe80::1%eth0]', '/x'],
  ]
  for (const [text, servers, chroot] of cases) t.same(parseConnectString(text), { servers, chroot }, text)
  t.end()
})

t.test('what is neither is refused', t => {
  for (const text of ['', 'a,', '/chroot', 'a:0', 'a:65536', 'a:b', '::1', '[::1', '[::1]:0', '[a]:1', '[]', 'a b', 'a//x', 'a/x/../y', 'a/x y']) {
    t.throws(() => parseConnectString(text), { message: /takes host:port/ }, text)
  }
  t.end()
})

t.test('each server has its host and port, and an IPv6 address its brackets', t => {
  const servers = 'a:1,b,[::1]:2182,[fe80::1]'
  t.same(parseServers(servers), [{ host: 'a', port: 1 }, { host: 'b', port: 2181 }, { host: '::1', port: 2182 }, { host: 'fe80::1', port: 2181 }])
  t.same(parseServers(servers).map(printServer), ['a:1', 'b:2181', '[::1]:2182', '[fe80::1]:2181'])
  t.end()
})

t.test('the servers of an ensemble come together in one connect string', t => {
  t.equal(joinConnectStrings(['a:1/x/y', '[::1]:2/x/y']), 'a:1,[::1]:2/x/y')
  t.equal(joinConnectStrings(['a:1']), 'a:1')
  t.end()
})
