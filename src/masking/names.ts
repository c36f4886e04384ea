/** Names that pseudonyms are made of: first and last names that are common somewhere, no two a famous pair. */
const words = (text: string): readonly string[] => text.trim().split(/\s+/)

export const FIRST_NAMES: readonly string[] = words(`
  Abel Adele Agnes Alba Alma Amos Anton Arno Astrid Beata Bela Benno Berta Bianca Boris Bruno Carla Celia Cosmo Dagny
  Dario Delia Edgar Edith Eero Elena Elmar Emil Enzo Erika Esben Fabio Felix Fiona Flora Franz Frida Gerd Gianna Gustav
  Hanna Hedda Henrik Hugo Ida Ilse Ines Ingo Irma Isidor Ivana Jakob Janna Jonas Julia Kaspar Katja Klara Lars Leona
  Linus Livia Lorenz Luca Luise Magda Malte Mara Marek Mila Mirko Nadia Nils Nora Olaf Olga Oskar Otto Paula Petra Quirin
  Rafael Renata Rita Roman Rosa Ruben Selma Silas Sonja Stella Sven Tamara Theo Tilda Tobias Ursula Valentin Vera Viktor
  Wanda Wilma Xaver Yara Yvonne Zeno Zita Zoltan`)

export const LAST_NAMES: readonly string[] = words(`
  Abendroth Albers Almeida Andersen Baptiste Barros Becker Bellini Berglund Bianchi Blom Brandt Cardoso Castell Clausen
  Conti Dahl Delgado Dietrich Dubois Eklund Engel Falk Farkas Fontana Friis Gallo Garcia Gerber Hagen Halvorsen Hartmann
  Heller Holm Horvat Ivanov Jansen Jensen Kaminski Keller Klein Kovacs Kruger Lamberti Larsen Lehmann Lindqvist Lopes
  Lund Madsen Marino Mendes Meyer Moreau Moretti Nagy Neumann Nielsen Novak Nyberg Olsen Orlov Pavlov Pereira Petit
  Pinto Pohl Popescu Quist Ricci Richter Rocha Rossi Roth Santoro Schmitt Schuster Silva Sorensen Stein Svensson Szabo
  Toth Ullmann Valente Vogel Voss Wagner Weber Winkler Wolff Ximenez Yilmaz Zanetti Ziegler Zimmer`)
