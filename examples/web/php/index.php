<?php
// PHP's own server: bootstrap web sh -c 'exec php -S 127.0.0.1:$PORT index.php'
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$id = $_SERVER['HTTP_X_FC_REQUEST_ID'] ?? '';
if ($path === '/invoke') {
    // What is no HTTP request comes here: a timer, a message of a queue.
    error_log("an event with id $id");
    $name = json_decode(file_get_contents('php://input'), true, 512, JSON_THROW_ON_ERROR)['name']
        ?? throw new Exception('the event has no name');
} else {
    error_log("a request with id $id");
    $name = $_GET['name'] ?? 'World';
}
header('Content-Type: application/json');
echo json_encode(['greeting' => "Hello, $name!"]);
