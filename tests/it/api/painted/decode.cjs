// Applies the messages of a file, each after its length, and writes the picture that comes of them: node decode.cjs DECODER MESSAGES
'use strict';

const fs = require('node:fs');
const { DesktopPicture } = require(process.argv[2]);

async function main() {
  const picture = new DesktopPicture(() => Promise.reject(new Error('a JPEG was not expected')));
  const file = fs.readFileSync(process.argv[3]);
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at);
    const message = file.subarray(at + 4, at + 4 + length);
    await picture.apply(message.buffer.slice(message.byteOffset, message.byteOffset + length));
    at += 4 + length;
  }
  process.stdout.write(picture.pixels);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
