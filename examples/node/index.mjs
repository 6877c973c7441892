// bootstrap function index.handler

export const handler = async (event, context) => {
    // FC hands over the bytes, Lambda and SCF what the JSON says.
    const { name } = Buffer.isBuffer(event) ? JSON.parse(event) : event;
    console.log('an event with the name', name);
    if (name === undefined) {
        throw new TypeError('the event has no name');
    }
    return { greeting: `Hello, ${name}!` };
};
