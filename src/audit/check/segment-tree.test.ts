import { expect, it } from 'vitest'
import { CompactRange, nodeSha256, treeHasher } from '../../evidence/index.ts'
import { nodePrimitives } from '../system/primitives.ts'
import { SegmentTree } from './segment-tree.ts'

it('has the roots of RFC 6962, one after the other', () => {
  const hasher = treeHasher(nodeSha256)
  const tree = new SegmentTree(nodePrimitives)
  for (let size = 1; size <= 70; size++) {
    const range = new CompactRange(hasher)
    tree.clear()
    for (let i = 0; i < size; i++) {
      range.append(hasher.leaf(Uint8Array.of(i, size)))
      tree.append(Uint8Array.of(0, i, size))
    }
    expect(Buffer.from(tree.root()).toString('hex')).toBe(Buffer.from(range.root()).toString('hex'))
  }
})
