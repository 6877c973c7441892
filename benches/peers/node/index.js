// The function: its result is its event.
exports.handler = async (event, context) => event;
