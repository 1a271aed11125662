// What the menu of a comment says.

const english = {
  menu: 'What to do with this comment',
  menuOf: name => `Comment by ${name}: more`,
  remove: 'Delete',
  pin: 'Pin',
  unpin: 'Unpin',
  banMinutes: name => `Ban ${name} for 10 minutes`,
  banDay: name => `Ban ${name} for a day`,
  banYear: name => `Ban ${name} for a year`,
  notDone: reason => `Not done: ${reason}`,
}

export const languages = {
  en: english,
  de: {
    menu: 'Was mit diesem Kommentar geschehen soll',
    menuOf: name => `Kommentar von ${name}: mehr`,
    remove: 'Löschen',
    pin: 'Anheften',
    unpin: 'Nicht mehr anheften',
    banMinutes: name => `${name} 10 Minuten lang sperren`,
    banDay: name => `${name} einen Tag lang sperren`,
    banYear: name => `${name} ein Jahr lang sperren`,
    notDone: reason => `Nicht geschehen: ${reason}`,
  },
  es: {
    menu: 'Qué hacer con este comentario',
    menuOf: name => `Comentario de ${name}: más`,
    remove: 'Eliminar',
    pin: 'Fijar',
    unpin: 'Dejar de fijar',
    banMinutes: name => `Bloquear a ${name} 10 minutos`,
    banDay: name => `Bloquear a ${name} un día`,
    banYear: name => `Bloquear a ${name} un año`,
    notDone: reason => `No se ha hecho: ${reason}`,
  },
  fr: {
    menu: 'Que faire de ce commentaire',
    menuOf: name => `Commentaire de ${name} : plus`,
    remove: 'Supprimer',
    pin: 'Épingler',
    unpin: 'Désépingler',
    banMinutes: name => `Exclure ${name} 10 minutes`,
    banDay: name => `Exclure ${name} un jour`,
    banYear: name => `Exclure ${name} un an`,
    notDone: reason => `Non effectué : ${reason}`,
  },
  ar: {
    menu: 'ما العمل بهذا التعليق',
    menuOf: name => `تعليق ${name}: المزيد`,
    remove: 'حذف',
    pin: 'تثبيت',
    unpin: 'إلغاء التثبيت',
    banMinutes: name => `حظر ${name} لعشر دقائق`,
    banDay: name => `حظر ${name} ليوم`,
    banYear: name => `حظر ${name} لسنة`,
    notDone: reason => `لم يتم: ${reason}`,
  },
}

export const wordsIn = language => languages[language.toLowerCase().split('-')[0]] ?? english
