// The resident side of a Node.js function, for Node.js 10 on. Started as `node -e SHIM -- FILE NAME PLATFORM`.
// fd 0 event, fd 1 result, fd 2 log, fd 3 control, fd 4 context (lines NAME=value).
// The event, the context object and the answer are those of the built-in runtimes of FC, Lambda and SCF.
const fs = require('fs'), Module = require('module'), net = require('net'), { Writable } = require('stream');
const [file, name, platform] = process.argv.slice(-3);
process.argv.splice(1, 9, file);
const fc = platform === 'fc', initial = Object.assign({}, process.env), env = process.env;
// The status of a failure: 2 if the process ends with it.
let before = {}, get, call, status = 1;
const spelt = {};

function write(fd, content) {
  for (let at = 0; at < content.length;)
    // A child process that shares the pipe may have made it non-blocking.
    try { at += fs.writeSync(fd, content, at); } catch (error) { if (error.code !== 'EAGAIN') throw error; }
}

// Node.js has no dup(2): the pipe is opened again, and fd 1 becomes the log, because a C library or a child
// process may write there.
let result = 1;
try {
  result = fs.openSync('/proc/self/fd/1', fs.constants.O_WRONLY);
  fs.closeSync(1);
  fs.openSync('/proc/self/fd/2', fs.constants.O_WRONLY);
} catch (error) {}

// At once, so that the log of a call is out before its answer.
for (const key of ['stdout', 'stderr']) {
  const stream = new Writable();
  stream.fd = 2;
  stream.write = (chunk, coding, next) => {
    write(2, typeof chunk === 'string' ? Buffer.from(chunk, typeof coding === 'string' ? coding : 'utf8') : chunk);
    if (typeof (next || coding) === 'function') process.nextTick(next || coding);
    return true;
  };
  Object.defineProperty(process, key, { configurable: true, get: () => stream });
}
// The console of Node.js 10 holds the first streams already.
if (console._stderr !== process.stderr) global.console = new console.Console(process.stdout, process.stderr);

const place = Buffer.allocUnsafeSlow(65536);
// With an offset of its own, because whatever inherits fd 0 shares the offset.
function read(fd) {
  const count = fs.readSync(fd, place, 0, 65536, 0);
  if (count < 65536) return Buffer.from(place.slice(0, count));
  const { size } = fs.fstatSync(fd), whole = Buffer.allocUnsafeSlow(size);
  fs.readSync(fd, whole, 0, size, 0);
  return whole;
}

function context(extra) {
  const all = {}, now = {};
  for (const line of read(4).toString().split('\n').slice(0, -1)) {
    const at = line.indexOf('='), key = line.slice(0, at), value = all[key] = line.slice(at + 1);
    // What SDKs read, but no value that is new with every call: glibc never frees a variable that was set.
    if (/^(ALI|TEN|FC_(?!REQ)|_X_)/.test(key) && (now[key] = value) !== before[key]) env[key] = value;
  }
  for (const key in before) if (!(key in now)) delete env[key];
  before = now;
  get = key => key in all ? all[key] : initial[key];
  const json = key => get(key) === undefined ? undefined : JSON.parse(get(key));
  const id = get('LAMBDA_RUNTIME_AWS_REQUEST_ID'), deadline = get('LAMBDA_RUNTIME_DEADLINE_MS') || Infinity;
  const number = key => +get(key) || 0;
  const log = level => (...words) => console.log(new Date().toISOString(), id, `[${level}]`, ...words);
  const space = get('SCF_NAMESPACE');
  // Values of the variables whose names are spelt like the keys, behind a prefix.
  const tell = (prefix, keys, into = {}) => {
    for (const key of keys.split(' ')) into[key] = get(prefix + (spelt[key] = spelt[key] || key.replace(/[A-Z]/g, '_$&').toUpperCase()));
    return into;
  };
  if (fc) return Object.assign(tell('FC_', 'requestId region accountId', extra), {
    credentials: tell('ALIBABA_CLOUD_', 'accessKeyId accessKeySecret securityToken'),
    function: tell('FC_FUNCTION_', 'name handler', { memory: number('FC_FUNCTION_MEMORY_SIZE'), timeout: number('FC_FUNCTION_TIMEOUT') }),
    service: tell('FC_', 'logProject logStore qualifier versionId', { name: get('FC_SERVICE_NAME') }),
    logger: { debug: log('debug'), log: log('verbose'), info: log('info'), warn: log('warn'), error: log('error') },
  });
  if (platform === 'scf') return Object.assign(tell('', 'tencentcloud_region tencentcloud_appid tencentcloud_uin', extra), {
    request_id: id,
    memory_limit_in_mb: number('SCF_MEMORY_LIMIT_IN_MB'),
    time_limit_in_ms: number('SCF_TIME_LIMIT_IN_MS'),
    function_name: get('SCF_FUNCTIONNAME'),
    function_version: get('SCF_FUNCTIONVERSION'),
    namespace: space,
    environ: 'SCF_NAMESPACE=' + space,
    environment: JSON.stringify({ SCF_NAMESPACE: space }),
  });
  tell('AWS_LAMBDA_', 'functionName functionVersion logGroupName logStreamName', extra);
  return Object.assign(tell('LAMBDA_RUNTIME_', 'awsRequestId invokedFunctionArn', extra), {
    memoryLimitInMB: get('AWS_LAMBDA_FUNCTION_MEMORY_SIZE'),
    tenantId: get('LAMBDA_RUNTIME_AWS_TENANT_ID'),
    clientContext: json('LAMBDA_RUNTIME_CLIENT_CONTEXT'),
    identity: json('LAMBDA_RUNTIME_COGNITO_IDENTITY'),
    getRemainingTimeInMillis: () => deadline - Date.now(),
  });
}

// Each call is answered once; what comes later is of a call that is over.
function answer(mine, content, reply = '0') {
  if (call !== mine) return;
  call = null;
  control.ref();
  write(result, typeof content === 'string' ? Buffer.from(content) : content);
  write(3, Buffer.from(reply + '\n'));
}

function fail(mine, error, kind) {
  if (call !== mine) return;
  let type = kind || typeof error, message, stack = '';
  try {
    if (error instanceof Error || error && error.name && error.message) ({ name: type, message, stack } = error);
    else message = String(error);
  } catch (nested) { message = 'an error that cannot be read'; }
  type = kind || type;
  console.error(error);
  answer(mine, JSON.stringify({
    errorMessage: message,
    errorType: type,
    stackTrace: String(stack).split('\n').filter(line => /^\s+at /.test(line)).map(line => line.trim()),
    // A line, and not a long one: the whole is in the result.
  }), Buffer.from(`${status} ${type}: ${message}`.replace(/\s+/g, ' ')).slice(0, 1000).toString());
}

function succeed(mine, value) {
  try {
    if (typeof value !== 'string' && !(value instanceof Uint8Array)) value = JSON.stringify(value) || 'null';
  } catch (error) { return fail(mine, error); }
  answer(mine, value);
}

function perform(line) {
  const mine = call = {}, isHook = !/^(invoke|binary)$/.test(line);
  // Only what the function started keeps the event loop going now.
  control.unref();
  try {
    const finish = (error, value) => error === undefined || error === null ? succeed(mine, value) : fail(mine, error);
    const callback = (error, value) => {
      if (error || fc || isHook || !known.callbackWaitsForEmptyEventLoop) finish(error, isHook ? '' : value);
      else if (!mine.last) mine.last = () => finish(error, value);
    };
    const known = context(fc ? {} : {
      callbackWaitsForEmptyEventLoop: true,
      succeed: value => finish(null, value),
      fail: error => fail(mine, error === undefined ? 'handled' : error),
      done: finish,
    });
    let pending;
    if (isHook) {
      const hook = line === 'initialize' ? exported.initialize || exported.initializer : exported.preStop || exported.pre_stop;
      mine.value = '';
      pending = hook && hook(known, callback);
      if ((!hook || hook.length < 2) && !(pending && pending.then)) return answer(mine, '');
    } else {
      const event = read(0);
      try { pending = fc ? event : JSON.parse(event.toString() || 'null'); } catch (error) {
        return fail(mine, error, 'Runtime.UnmarshalError');
      }
      pending = handler(pending, known, callback);
    }
    if (pending && typeof pending.then === 'function') {
      mine.isAsync = true;
      pending.then(value => succeed(mine, isHook ? '' : value), error => fail(mine, error));
    }
  } catch (error) { fail(mine, error); }
}

// Nothing is left that could answer.
process.on('beforeExit', () => {
  const mine = call;
  if (!mine) return;
  if (mine.last) mine.last();
  else if (mine.isAsync) fail(mine, new Error('The promise of the function was never settled'), 'Runtime.NodeJsExit');
  else succeed(mine, mine.value);
});
// As on Lambda: the call fails, the process ends.
const end = kind => error => {
  status = 2;
  if (call) fail(call, error, kind);
  else console.error(error);
  process.exit(1);
};
process.on('uncaughtException', end());
process.on('unhandledRejection', end('Runtime.UnhandledPromiseRejection'));
process.on('exit', code => {
  status = 2;
  if (call) fail(call, new Error('exit status ' + code), 'Runtime.ExitError');
});

// NAME may lead through what the file exports: `routes.handler`.
const member = from => name.split('.').reduce((from, key) => from == null ? from : from[key], from);

const control = new net.Socket({ fd: 3 });
let exported, handler;
async function load() {
  // Where layers are.
  env.NODE_PATH = (env.NODE_PATH ? env.NODE_PATH + ':' : '') + '/opt/nodejs/node_modules';
  Module._initPaths();
  const mine = call = {};
  try {
    try { exported = /\.mjs$/.test(file) ? await import(file) : require(file); } catch (error) {
      if (!/^ERR_REQUIRE_(ESM|ASYNC)/.test(error.code)) throw error;
      exported = await import(file);
    }
    handler = member(exported) || member(exported.default);
    if (typeof handler !== 'function') {
      fail(mine, `${name} of ${file} is undefined or not exported`, 'Runtime.HandlerNotFound');
      process.exit(1);
    }
  } catch (error) {
    fail(mine, error, error instanceof SyntaxError ? 'Runtime.UserCodeSyntaxError' :
      /MODULE_NOT_FOUND$/.test(error && error.code) ? 'Runtime.ImportModuleError' : undefined);
    process.exit(1);
  }
  answer(mine, '');
  let text = '';
  control.on('end', () => process.exit(0));
  control.on('data', part => {
    text += part;
    for (let at; (at = text.indexOf('\n')) >= 0;) {
      const line = text.slice(0, at);
      text = text.slice(at + 1);
      perform(line);
    }
  });
}
load();
