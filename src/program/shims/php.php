// The resident side of a PHP function, for PHP 7.2 on. Started as `php -r SHIM -- FILE NAME PLATFORM`.
// fd 0 event, fd 1 result, fd 2 log, fd 3 control, fd 4 context (lines NAME=value).
// The function gets the event as a string and FC's context array.

ini_set('display_errors', 'stderr');
ini_set('html_errors', '0');
// `php://fd` makes a duplicate. Then fd 1 becomes the log, for `echo`, warnings and child processes: the
// duplicate of fd 2 takes the number that was closed.
$_fnboot = [fopen('php://fd/0', 'r'), fopen('php://fd/1', 'w'), fopen('php://fd/3', 'r+'), fopen('php://fd/4', 'r')];
// Between two events there may be more than the minute that a socket waits.
stream_set_timeout($_fnboot[2], -1);
fclose(STDOUT);
$_fnboot[] = fopen('php://fd/2', 'w');

$_fnboot = (function ($in, $out, $control, $context, $log, $file, $name) {
  $owner = getmypid();
  // True while a call waits for its answer.
  $open = true;
  $vars = [];

  $answer = function ($content, $reply = '0') use (&$open, $owner, $out, $control, $log) {
    // A forked child of the function came back: only its parent answers.
    if (getmypid() !== $owner) exit;
    while (ob_get_level()) ob_end_flush();
    $open = false;
    fwrite($out, $content);
    fwrite($control, "$reply\n");
  };
  // The status is 2 if the process ends with it.
  $fail = function ($type, $message, $trace, $status = 1) use ($answer, $log) {
    // The function may have closed STDERR.
    fwrite($log, "$type: $message\n");
    $answer(json_encode(['errorMessage' => $message, 'errorType' => $type, 'stackTrace' => $trace], 512),
      // A line, and not a long one: the whole is in the result.
      substr(preg_replace('/\s+/', ' ', "$status $type: $message"), 0, 1000));
  };
  $catch = function ($error) use ($fail) {
    $fail(get_class($error), $error->getMessage(),
      array_merge([$error->getFile() . ':' . $error->getLine()], explode("\n", $error->getTraceAsString())));
  };

  // `exit` and fatal errors end the process, but not without an answer.
  register_shutdown_function(function () use (&$open, $owner, $fail) {
    if (!$open || getmypid() !== $owner) return;
    ini_set('memory_limit', '-1');
    $last = error_get_last();
    if ($last && $last['type'] & (E_ERROR | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_PARSE)) {
      $fail('FatalError', $last['message'], [$last['file'] . ':' . $last['line']], 2);
    } else {
      $fail('ExitError', 'The function called exit', [], 2);
    }
  });

  $read = function ($file) {
    rewind($file);
    $text = fread($file, 8192);
    return isset($text[8191]) ? $text . stream_get_contents($file) : $text;
  };

  $context = function () use (&$vars, $context, $read) {
    $before = $vars;
    $vars = [];
    foreach (explode("\n", $read($context), -1) as $line) {
      list($key, $value) = explode('=', $line, 2);
      $vars[$key] = $_SERVER[$key] = $value;
      if (($before[$key] ?? null) !== $value) putenv($line);
    }
    foreach (array_diff_key($before, $vars) as $key => $value) {
      putenv($key);
      unset($_SERVER[$key]);
    }
    // The first that the platform tells.
    $get = function (...$keys) {
      foreach ($keys as $key) if (isset($_SERVER[$key])) return $_SERVER[$key];
      return '';
    };
    return [
      'requestId' => $get('LAMBDA_RUNTIME_AWS_REQUEST_ID'),
      'credentials' => [
        'accessKeyId' => $get('ALIBABA_CLOUD_ACCESS_KEY_ID', 'AWS_ACCESS_KEY_ID', 'TENCENTCLOUD_SECRETID'),
        'accessKeySecret' => $get('ALIBABA_CLOUD_ACCESS_KEY_SECRET', 'AWS_SECRET_ACCESS_KEY', 'TENCENTCLOUD_SECRETKEY'),
        'securityToken' => $get('ALIBABA_CLOUD_SECURITY_TOKEN', 'AWS_SESSION_TOKEN', 'TENCENTCLOUD_SESSIONTOKEN'),
      ],
      'function' => [
        'name' => $get('FC_FUNCTION_NAME', 'AWS_LAMBDA_FUNCTION_NAME', 'SCF_FUNCTIONNAME'),
        'handler' => $get('FC_FUNCTION_HANDLER', '_HANDLER'),
        'memory' => (int) $get('FC_FUNCTION_MEMORY_SIZE', 'AWS_LAMBDA_FUNCTION_MEMORY_SIZE', 'SCF_MEMORY_LIMIT_IN_MB'),
        'timeout' => (int) $get('FC_FUNCTION_TIMEOUT'),
      ],
      'service' => [
        'name' => $get('FC_SERVICE_NAME'),
        'logProject' => $get('FC_LOG_PROJECT'),
        'logStore' => $get('FC_LOG_STORE'),
        'qualifier' => $get('FC_QUALIFIER'),
        'versionId' => $get('FC_VERSION_ID', 'AWS_LAMBDA_FUNCTION_VERSION', 'SCF_FUNCTIONVERSION'),
      ],
      'region' => $get('FC_REGION', 'AWS_REGION', 'TENCENTCLOUD_REGION'),
      'accountId' => $get('FC_ACCOUNT_ID', 'TENCENTCLOUD_UIN'),
    ];
  };

  // FC's logger.
  $GLOBALS['fcLogger'] = new class {
    private $level = 200;
    function setLevel($level) { $this->level = $level; }
    function __call($name, $words) {
      $levels = ['debug' => 100, 'info' => 200, 'notice' => 250, 'warning' => 300, 'error' => 400, 'critical' => 500,
        'alert' => 550, 'emergency' => 600];
      if ($levels[$name] >= $this->level) {
        fwrite(STDERR, gmdate('Y-m-d H:i:s ') . getenv('LAMBDA_RUNTIME_AWS_REQUEST_ID') . ' [' . strtoupper($name) . "] $words[0]\n");
      }
    }
  };

  return function ($returned) use (&$open, $in, $control, $context, $read, $answer, $fail, $catch, $file, $name) {
    if ($returned instanceof Throwable) {
      $catch($returned);
      exit(1);
    }
    $function = $name !== '' && is_callable($name) ? $name : $returned;
    if (!is_callable($function)) {
      $fail('Runtime.NoSuchHandler', "$file has no function $name", []);
      exit(1);
    }
    $answer('');
    while (($line = fgets($control)) !== false) {
      $open = true;
      error_clear_last();
      try {
        $known = $context();
        if ($line[0] !== 'p' && $line[2] !== 'i') {
          $result = $function($read($in), $known);
          if (!is_string($result)) $result = json_encode($result);
          if ($result === false) throw new UnexpectedValueException('The result is no JSON: ' . json_last_error_msg());
        } else {
          $result = '';
          foreach ($line[0] === 'p' ? ['preStop', 'pre_stop'] : ['initialize', 'initializer'] as $hook) {
            if (function_exists($hook)) { $hook($known); break; }
          }
        }
        $answer($result);
      } catch (Throwable $error) {
        $catch($error);
      }
    }
  };
})(...array_merge($_fnboot, array_slice($argv, 1)));

set_include_path(dirname($argv[1]) . PATH_SEPARATOR . get_include_path());
$argc = count($argv = $_SERVER['argv'] = [$argv[1]]);
// Here, because the variables of FILE are to be global.
try {
  $_fnboot(require $argv[0]);
} catch (Throwable $_fnboot_error) {
  $_fnboot($_fnboot_error);
}
