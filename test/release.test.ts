import t from 'tap'
import { judgeRelease } from './release.js'

const good = { version: '0.2.0', tags: ['v0.2.0'], changelog: '# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n- **Added**: x\n\n## 0.1.0\n\n- y\n', changed: [] }

t.test('a version is published from its tag, with its section in the changelog, and as it was committed', async t => {
  t.same(judgeRelease(good), [])
  t.same(judgeRelease({ ...good, changelog: good.changelog.replace('## Unreleased\n\n', '').replace('0.2.0 - 2026', '[0.2.0] - 2026') }), [])
  t.same(judgeRelease({ ...good, tags: [] }), ['package.json is of version 0.2.0, and the commit has no tag v0.2.0'])
  t.same(judgeRelease({ ...good, tags: ['v0.1.0', '0.2.0', 'v0.2.0-rc.1'] }).length, 1, 'another tag is not its own')
  t.same(judgeRelease({ ...good, version: '0.2', tags: ['v0.2'] }), ['CHANGELOG.md has no section 0.2'], 'nor is a section of a longer version')
  t.same(judgeRelease({ ...good, changelog: good.changelog.replace('## Unreleased\n', '## Unreleased\n\n- **Fixed**: z\n') }), ['CHANGELOG.md has entries under Unreleased'])
  t.same(judgeRelease({ ...good, changed: ['README.md', 'dist/x'] }), ['not committed: README.md, dist/x'])
})
