'use strict'
/*
 * Finds the Node that Sluice runs on and runs a script with it. Written for Node 12 and later: whoever starts Sluice
 * may have any Node, and this is the one part of it that has to run there. It knows nothing of what it starts.
 * It keeps one promise: the exit code, and the signal, are those of what was started.
 */
const childProcess = require('child_process')
const fs = require('fs')
const path = require('path')
const url = require('url')

// undici 8 needs 22.19; `node:sqlite` and type stripping are on by default from there on.
const NEEDED = [22, 19]

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGBREAK']
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGUSR2: 12, SIGTERM: 15 }

function recentEnough(version) {
  const parts = version.split('.').map(Number)
  return parts[0] > NEEDED[0] || (parts[0] === NEEDED[0] && parts[1] >= NEEDED[1])
}

/** The Node that package-lock.json pins, looked up as any dependency is; undefined where none is published. */
function pinnedNode() {
  const name = 'node-' + (process.platform === 'win32' ? 'win' : process.platform) + '-' + process.arch
  try {
    const folder = path.dirname(require.resolve(name + '/package.json'))
    const binary = path.join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
    return fs.existsSync(binary) ? fs.realpathSync(binary) : undefined
  } catch (error) {
    if (error && error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/** The pinned Node if there is one; else the one running this, if it is recent enough; else undefined. */
function chooseNode() {
  const pinned = pinnedNode()
  if (pinned !== undefined) return pinned
  return recentEnough(process.versions.node) ? fs.realpathSync(process.execPath) : undefined
}

function noNode() {
  return (
    'Sluice needs Node ' +
    NEEDED.join('.') +
    ' or newer; this is ' +
    process.versions.node +
    ', and no Node is bundled for ' +
    process.platform +
    '-' +
    process.arch +
    '. Install Node 24 from https://nodejs.org and try again.'
  )
}

/** Runs a command to its end as if it had been started directly: same terminal, same signals, same way of ending. */
function runToEnd(command, args, options) {
  let child
  const forward = function (signal) {
    // A terminal sends Ctrl-C to the whole foreground group, the child included: passing it on would double it.
    if (signal === 'SIGINT' && process.stdin.isTTY) return
    child.kill(signal)
  }
  // Before the child is there, so that no signal finds this process without a handler and leaves the child alone.
  const listened = SIGNALS.filter(function (signal) {
    try {
      process.on(signal, forward)
      return true
    } catch (error) {
      if (error && (error.code === 'EINVAL' || error.code === 'ERR_UNKNOWN_SIGNAL')) return false
      throw error
    }
  })
  child = childProcess.spawn(command, args, Object.assign({ stdio: 'inherit' }, options))
  child.on('error', function (error) {
    console.error('Cannot run ' + command + ': ' + error.message)
    process.exit(127)
  })
  child.on('exit', function (code, signal) {
    listened.forEach(function (each) {
      process.removeListener(each, forward)
    })
    if (signal === null) process.exit(code)
    // Ended by a signal: end the same way, so that the caller's shell sees what happened. The timer answers for
    // signals that do not end this process.
    process.kill(process.pid, signal)
    setTimeout(function () {
      process.exit(128 + (SIGNAL_NUMBERS[signal] || 0))
    }, 200)
  })
}

/**
 * Runs `script` with the right Node: in this process if this is the one, else in a child.
 * `cache` is a folder for compiled code; it makes the second start of unbundled source faster.
 */
function runScript(script, args, cache) {
  const node = chooseNode()
  if (node === undefined) {
    console.error(noNode())
    process.exit(1)
  }
  if (node !== fs.realpathSync(process.execPath)) {
    const env = Object.assign({}, process.env)
    if (cache !== undefined && env.NODE_COMPILE_CACHE === undefined) env.NODE_COMPILE_CACHE = cache
    // glibc keeps what is freed for each of eight arenas a core; with two, an idle session costs a third less. mallopt(3).
    if (env.MALLOC_ARENA_MAX === undefined) env.MALLOC_ARENA_MAX = '2'
    return runToEnd(node, [script].concat(args), { env: env })
  }
  if (cache !== undefined && process.env.NODE_COMPILE_CACHE === undefined) {
    require('module').enableCompileCache(cache)
  }
  process.argv = [process.argv[0], script].concat(args)
  return import(url.pathToFileURL(script).href)
}

module.exports = { chooseNode: chooseNode, noNode: noNode, runScript: runScript, runToEnd: runToEnd }
