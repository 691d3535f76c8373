import { expect, test } from 'vitest';
import { requote } from './escaper.ts';

test.each([
  ['READY=YES', 'READY="YES"'],
  ['A="two words"', 'A="two words"'],
  ['A=1\nB=2', 'A="1"\nB="2"'],
  ['A=1\\nB=2', 'A="1"\nB="2"'],
  ['A=1\r\nB=2\r\n', 'A="1"\nB="2"\n'],
  ['A=', 'A="'],
  ['A=""', 'A=""'],
  ['A=\nB=1', 'A=\nB="1"'],
  ['A = 1', 'A ="1"'],
  ['A= a b ', 'A="a b"'],
  ['A=b,c', 'A="b",c"'],
  ['A="a,b"', 'A="a",b"'],
  ['A="a=b"', 'A="a="b"'],
  ['A=a=b=c==', 'A="a=b=c=="'],
  ['A=[K1=v1,K2="v 2"]', 'A=[K1="v1",K2="v 2"]'],
  ['A=[1,2]', 'A=[1",2"]'],
  ['A=a[b', 'A="a"[b"'],
  ['A={"x":1}', 'A="{"x":1}"'],
  ['A=C:\\dir\\x', 'A="C:"\\dir"\\x'],
  ['A="line1\nline2"', 'A="line1"\nline2"'],
  ['A=a"', 'A="a"'],
  ['# comment\nA="1"', '# comment\nA="1"'],
  ['<TEMPLATE><A>a,b</A></TEMPLATE>', '<TEMPLATE><A>a",b</A></TEMPLATE>'],
  ['', ''],
])('%j becomes %j', (body, sent) => {
  expect(requote(body)).toBe(sent);
});
