// npm install && npm run build, then: bootstrap function index.handler

interface Event {
    name?: string;
}

export async function handler(event: Event | Uint8Array): Promise<{ greeting: string }> {
    // FC hands over the bytes, Lambda and SCF what the JSON says.
    const { name }: Event = event instanceof Uint8Array ? JSON.parse(event.toString()) : event;
    console.error('an event with the name', name);
    if (name === undefined) {
        throw new TypeError('the event has no name');
    }
    return { greeting: `Hello, ${name}!` };
}
