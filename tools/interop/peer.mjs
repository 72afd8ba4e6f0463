// What the checks share: the command line, files, and counting.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'imagxp-interop-'))
let passed = 0
let failed = 0

/** Writes a file for the command line; its path. */
export function file(name, contents) {
  const path = join(folder, name)
  writeFileSync(path, contents, { mode: 0o600 })
  return path
}

/** Runs `imagxp`: what it printed, and how it ended. */
export function imagxp(...args) {
  try {
    return { code: 0, out: execFileSync(process.env.IMAGXP, args, { stdio: ['ignore', 'pipe', 'pipe'], env: {} }).toString().trim() }
  } catch (error) {
    return { code: error.status, out: error.stdout.toString().trim(), err: error.stderr.toString() }
  }
}

/** One check. */
export async function check(name, test) {
  try {
    await test()
    passed += 1
  } catch (error) {
    failed += 1
    console.log(`FAILED ${name}: ${error.message}`)
  }
}

/** The same token with one character changed, in the middle of each part. */
export function changed(token) {
  const parts = token.split('.')
  return parts.map((part, at) => {
    const middle = Math.floor(part.length / 2)
    const other = part[middle] === 'A' ? 'B' : 'A'
    return parts.with(at, part.slice(0, middle) + other + part.slice(middle + 1)).join('.')
  })
}

export function report() {
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed > 0 ? 1 : 0)
}
