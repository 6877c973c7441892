# The resident side of a Python function, for Python 3.6 on. Started as `python3 -c SHIM FILE NAME PLATFORM`.
# fd 0 event, fd 1 result, fd 2 log, fd 3 control, fd 4 context (lines NAME=value).
# The event, the context object and the answer are those of the built-in runtimes of FC, Lambda and SCF.
import importlib, json, logging, os, sys, time
from types import SimpleNamespace as Record
file, name, platform = sys.argv[1:]
sys.argv[:] = [file]
fc, scf = platform == 'fc', platform == 'scf'

# The channel moves out of the way, and no program that the function starts inherits it. Then fd 1 is the
# log, because a C library or a child process may write there.
events, result, control, contexts = map(os.dup, (0, 1, 3, 4))
os.dup2(2, 1)
os.closerange(3, 6)
result = open(result, 'wb')
# Line by line, and never an error for a letter, whatever the version and the locale.
log = sys.stdout = sys.stderr = open(2, 'w', 1, 'utf8', 'backslashreplace', None, False)
owner = os.getpid()
initial = dict(os.environ)
before, pairs = [], initial


def get(key):
    """A variable of the call, or of the process. They are looked into once somebody asks."""
    global pairs
    pairs = pairs or known_of(lines)
    return pairs.get(key)


def known_of(lines):
    return dict(initial, **dict(line.split('=', 1) for line in lines))


# The lines of `logging` as the platform's own runtime writes them.
handler = logging.StreamHandler(log)
handler.addFilter(lambda record: setattr(record, 'aws_request_id', get('LAMBDA_RUNTIME_AWS_REQUEST_ID')) or 1)
form = logging.Formatter(
    '%(asctime)s.%(msecs)03dZ %(aws_request_id)s [%(levelname)s] %(message)s' if fc or scf else
    '[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s', '%Y-%m-%dT%H:%M:%S')
form.converter = time.gmtime
handler.setFormatter(form)
logger = logging.getLogger()
logger.addHandler(handler)
if fc or scf:
    logger.setLevel('INFO')


def record(get, prefix, names, into=Record):
    """Values of the variables prefix + NAME, numbers as numbers."""
    number = lambda key, value: int(value or 0) if key[:6] in ('memory', 'time_l', 'timeou') else value
    return into(**{key: number(key, get(prefix + key.upper())) for key in names.split()})


class Context(dict if scf else Record):
    """What the platform tells under its own names; SCF's functions expect a dict."""

    def get_remaining_time_in_millis(self):
        return max(0, int(get('LAMBDA_RUNTIME_DEADLINE_MS') or 1 << 62) - int(time.time() * 1000))

    def log(self, message):
        log.write(str(message))

    def getLogger(self):
        return logger

    def to_json(self):
        return json.dumps(self, default=lambda value: getattr(value, '__dict__', None))


class Later(Context):
    """A context of which nobody has asked anything yet. It keeps what its own call has told."""

    def __getattribute__(self, key):
        own = object.__getattribute__(self, '__dict__')
        self.__class__ = Context
        own.update(told(known_of(own.pop('lines')).get).__dict__)
        return getattr(self, key)


def told(get):
    """What the platform's own runtime tells."""
    if scf:
        made = record(get, 'SCF_', 'request_id memory_limit_in_mb time_limit_in_ms namespace', Context)
        made.update(record(get, '', 'tencentcloud_region tencentcloud_appid tencentcloud_uin', dict))
        made.update(
            function_name=get('SCF_FUNCTIONNAME'), function_version=get('SCF_FUNCTIONVERSION'),
            environ='SCF_NAMESPACE=%s' % made['namespace'],
            environment=json.dumps({'SCF_NAMESPACE': made['namespace']}))
    elif fc:
        made = record(get, 'FC_', 'request_id region account_id log_project log_store')
        made.logger = logger
        made.credentials = record(get, 'ALIBABA_CLOUD_', 'access_key_id access_key_secret security_token')
        made.service = record(get, 'FC_', 'log_project log_store qualifier version_id')
        made.service.name = get('FC_SERVICE_NAME')
        made.function = record(get, 'FC_FUNCTION_', 'name handler timeout')
        made.function.memory = int(get('FC_FUNCTION_MEMORY_SIZE') or 0)
        made.function.qualifier, made.function.version_id = get('FC_QUALIFIER'), get('FC_VERSION_ID')
    else:
        made = record(get, 'AWS_LAMBDA_', 'function_name function_version log_group_name log_stream_name')
        made.aws_request_id = get('LAMBDA_RUNTIME_AWS_REQUEST_ID')
        made.memory_limit_in_mb = get('AWS_LAMBDA_FUNCTION_MEMORY_SIZE')
        made.invoked_function_arn = get('LAMBDA_RUNTIME_INVOKED_FUNCTION_ARN')
        made.tenant_id = get('LAMBDA_RUNTIME_AWS_TENANT_ID')
        said = json.loads(get('LAMBDA_RUNTIME_COGNITO_IDENTITY') or '{}').get
        made.identity = Record(
            cognito_identity_id=said('cognitoIdentityId'), cognito_identity_pool_id=said('cognitoIdentityPoolId'))
        said = json.loads(get('LAMBDA_RUNTIME_CLIENT_CONTEXT') or '{}').get
        made.client_context = get('LAMBDA_RUNTIME_CLIENT_CONTEXT') and Record(
            custom=said('custom'), env=said('env'), client=Record(**said('client') or {}))
    return made


def context():
    """Puts what SDKs read into the environment, and takes away what is absent now."""
    global before, lines, pairs
    lines = whole(contexts).decode('utf8', 'surrogateescape').split('\n')[:-1]
    pairs = None
    # Not the values that are new with every call: glibc never frees a variable that was set.
    now = [line for line in lines if line[:3] in ('ALI', 'TEN', 'FC_', '_X_') and line[:10] != 'FC_REQUEST']
    if now != before:
        for line in set(before) - set(now):
            os.environ.pop(line.split('=')[0], None)
        for line in set(now) - set(before):
            key, value = line.split('=', 1)
            os.environ[key] = value
        before = now
    return told(get) if scf else Later(lines=lines)


def whole(fd):
    # With an offset of its own, because whatever inherits fd 0 shares the offset.
    content = os.pread(fd, 65536, 0)
    return content if len(content) < 65536 else os.pread(fd, os.fstat(fd).st_size, 0)


def fault(kind, message, *values):
    """An exception of that name."""
    return type('Runtime.' + kind, (Exception,), {})(message % values)


def plain(value):
    # What DynamoDB gives.
    if type(value).__name__ == 'Decimal':
        return int(value) if value == int(value) else float(value)
    raise TypeError('%s is not JSON serializable' % type(value).__name__)


def invoke():
    event = whole(events)
    known = context()
    if not fc:
        try:
            event = json.loads(event.decode() or 'null')
        except ValueError as error:
            raise fault('UnmarshalError', 'Unable to unmarshal input: %s', error)
    made = function(event, known)
    if isinstance(made, (bytes, bytearray, memoryview)):
        return made
    try:
        return (made if isinstance(made, str) else json.dumps(made, default=plain, allow_nan=False)).encode()
    except Exception as error:
        raise fault('MarshalError', 'Unable to marshal response: %s', error)


def hook(*names):
    known = context()
    for key in names:
        if hasattr(module, key):
            getattr(module, key)(known)
            break
    return b''


def load():
    global module, function
    # The root as the built-in runtimes have it: for `folder/file.py` the module is `folder.file`.
    folder = os.path.dirname(file)
    for root in get('LAMBDA_TASK_ROOT'), get('USER_CODE_ROOT'), get('FC_FUNC_CODE_PATH'), os.getcwd(), folder:
        if root and file.startswith(os.path.join(root, '')):
            break
    sys.path[:] = [root, folder, '/opt/python'] + [path for path in sys.path if path]
    title = os.path.relpath(file, root)[:-3].replace('/', '.')
    try:
        module = importlib.import_module(title)
    except ImportError as error:
        raise fault('ImportModuleError', "Unable to import module '%s': %s", title, error)
    except SyntaxError as error:
        raise fault('UserCodeSyntaxError', "Syntax error in module '%s': %s", title, error)
    function = getattr(module, name, None)
    if not callable(function):
        raise fault('HandlerNotFound', "Handler '%s' missing on module '%s'", name, title)
    return b''


def answer(action, *arguments):
    """Does it, writes the result, then the reply. Nothing that the function raises ends the process."""
    reply = '0'
    try:
        content = action(*arguments)
    except BaseException as error:
        import traceback
        kind = type(error)
        try:
            message = str(error)
        except Exception:
            message = 'its text cannot be told'
        # The first two frames are ours.
        trace = error.__traceback__.tb_next.tb_next
        traceback.print_exception(kind, error, trace)
        content = json.dumps({
            'errorMessage': message, 'errorType': kind.__name__,
            'stackTrace': traceback.format_list(traceback.extract_tb(trace))}).encode()
        # A line, and not a long one: the whole is in the result.
        reply = '1 ' + ' '.join(('%s: %s' % (kind.__name__, message)).split())
    log.flush()
    if os.getpid() != owner:
        # A forked child of the function came back: only its parent answers.
        os._exit(reply != '0')
    result.write(content)
    result.flush()
    os.write(control, reply.encode('utf8', 'replace')[:1000] + b'\n')
    return reply


started = answer(load)
if started == '0':
    for line in open(control):
        if line[:3] == 'ini':
            answer(hook, 'initialize', 'initializer')
        elif line[:3] == 'pre':
            answer(hook, 'pre_stop', 'preStop')
        else:
            answer(invoke)
# Without waiting for threads that the function left.
os._exit(started != '0')
