/**
 * A U-Boot console without a board: the few commands that a technician's tool types, an environment in memory and one that
 * `saveenv` stores. It owns no socket and no timer.
 */

export interface SimulatedUbootOptions {
  /** What is stored: the environment after each start. Changed in place by `saveenv`. */
  stored: Map<string, string>;
  /** Whether a key stops autoboot; `stub`: the script of firmware-stubs/uboot, which wants Ctrl-C twice. */
  interruptible: boolean | 'stub';
  /** `saveenv` fails, as on a board whose flash is locked. */
  saveFails?: boolean;
  /** Text for the line. */
  send(text: string): void;
}

const PROMPT = '=> ';
const INTERRUPT = '\x03';

export class SimulatedUboot {
  /** How often it was started. */
  starts = 0;
  /** Command lines that were entered. */
  readonly entered: string[] = [];
  readonly #options: SimulatedUbootOptions;
  #environment = new Map<string, string>();
  #state: 'off' | 'autoboot' | 'again' | 'prompt' | 'booted' = 'off';
  #line = '';

  constructor(options: SimulatedUbootOptions) {
    this.#options = options;
  }

  start(): void {
    this.starts++;
    this.#environment = new Map(this.#options.stored);
    this.#line = '';
    this.#state = 'autoboot';
    this.#options.send('\r\n\r\nU-Boot 2023.01 (Jan 01 2023)\r\n\r\n');
    if (this.#options.interruptible === 'stub')
      this.#options.send('bootwright: firmware start\r\nbootwright: firmware listen 1 s for Ctrl-C\r\n');
    else this.#options.send('Hit any key to stop autoboot:  1 ');
  }

  /** Autoboot's delay is over. */
  onTime(): void {
    if (this.#state === 'again') this.start();
    else if (this.#state === 'autoboot') this.#boot();
  }

  #boot(): void {
    this.#state = 'booted';
    this.#options.send('\r\nbootwright: firmware pointer image=alpha slot=0 attempts=3\r\n');
  }

  receive(text: string): void {
    for (const key of text) this.#key(key);
  }

  #key(key: string): void {
    if (this.#options.interruptible === 'stub' && this.#listens(key)) return;
    if (this.#state === 'autoboot' && this.#options.interruptible === true) {
      this.#state = 'prompt';
      this.#options.send(`\b\b\b 0 \r\n${PROMPT}`);
    } else if (this.#state !== 'prompt') return;
    else if (key === INTERRUPT) {
      this.#line = '';
      this.#options.send(`<INTERRUPT>\r\n${PROMPT}`);
    } else if (key === '\r') this.#enter();
    else if (key >= ' ') {
      this.#line += key;
      this.#options.send(key);
    }
  }

  /** Whether the stub's wait took the key. */
  #listens(key: string): boolean {
    if (this.#state !== 'autoboot' && this.#state !== 'again') return false;
    if (key !== INTERRUPT) return true;
    if (this.#state === 'autoboot') {
      this.#state = 'again';
      this.#say('bootwright: firmware listen 2 s for Ctrl-C again');
    } else {
      this.#state = 'prompt';
      this.#options.send(`bootwright: firmware prompt\r\n${PROMPT}`);
    }
    return true;
  }

  #enter(): void {
    const line = this.#line;
    this.#line = '';
    this.entered.push(line);
    this.#options.send('\r\n');
    let status = 0;
    for (const each of line.split(';')) {
      const [name = '', ...args] = each.trim().replaceAll('$?', String(status)).split(' ');
      status = this.#run(name, args) ? 0 : 1;
      if (this.#state !== 'prompt') return;
    }
    this.#options.send(PROMPT);
  }

  #run(name: string, args: string[]): boolean {
    switch (name) {
      case '':
        return true;
      case 'version':
        this.#say('U-Boot 2023.01 (Jan 01 2023)');
        return true;
      case 'echo':
        this.#say(args.join(' '));
        return true;
      case 'printenv':
        return args.map((each) => this.#print(each)).every((found) => found);
      case 'setenv': {
        const [variable = '', ...value] = args;
        if (value.length === 0) this.#environment.delete(variable);
        else this.#environment.set(variable, value.join(' '));
        return true;
      }
      case 'saveenv':
        return this.#save();
      case 'reset':
        this.#say('resetting ...');
        this.start();
        return true;
      default:
        this.#say(`Unknown command '${name}' - try 'help'`);
        return false;
    }
  }

  #print(name: string): boolean {
    const value = this.#environment.get(name);
    this.#say(value === undefined ? `## Error: "${name}" not defined` : `${name}=${value}`);
    return value !== undefined;
  }

  #save(): boolean {
    this.#say('Saving Environment to Flash... ');
    if (this.#options.saveFails === true) {
      this.#say('Timeout writing to Flash');
      return false;
    }
    this.#options.stored.clear();
    for (const [name, value] of this.#environment) this.#options.stored.set(name, value);
    this.#say('OK');
    return true;
  }

  #say(line: string): void {
    this.#options.send(`${line}\r\n`);
  }
}
